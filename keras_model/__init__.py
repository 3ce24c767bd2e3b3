"""The network: training on a dataset's TFRecords, evaluation, report, export and prediction."""
