"""What is known of GTZAN, for whoever reads a dataset made of it; docs/gtzan.md has the sources in full."""

GTZAN_BIBTEX = (
    "@article{tzanetakis2002, author={Tzanetakis, George and Cook, Perry}, "
    "title={Musical genre classification of audio signals}, "
    "journal={IEEE Transactions on Speech and Audio Processing}, volume={10}, number={5}, year={2002}}"
)
# Markdown.
GTZAN_FAULTS = (
    "The tracks have the names of GTZAN's (Tzanetakis and Cook, 2002). Among its 1000 excerpts Sturm found "
    "([2012](https://doi.org/10.1145/2390848.2390851), [2013](https://arxiv.org/abs/1306.1461))",
    "",
    "- 50 exact replicas, one of them in two genres; 22 excerpts of a recording that another is of, too; 13 other versions of "
    "the same music;",
    "- 43 conspicuous and 63 contentious mislabelings;",
    "- many excerpts of one artist: 35 of the 100 in reggae are Bob Marley, 24 in pop are Britney Spears;",
    "- distortion in several; of one, all but 5 seconds are useless.",
    "",
    "A split by track can have artists on both sides: read accuracies with that in mind.",
)
