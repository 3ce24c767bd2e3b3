/* Classifies a WAV file by an exported model through TensorFlow's C library: no Python, none of the project's code.

   Usage: classify MODEL INPUT GENRE ERROR N_CHUNKS FILE...
   INPUT, GENRE, ERROR, N_CHUNKS are the tensors of the signature classify_audio, each as OPERATION:INDEX. All files are one batch;
   printed is a line for each: genre, number of chunks and error, separated by tabs. */

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tensorflow/c/c_api.h"
#include "tensorflow/c/tf_tstring.h"

static void check(TF_Status *status) {
  if (TF_GetCode(status) != TF_OK) {
    fprintf(stderr, "classify: %s\n", TF_Message(status));
    exit(1);
  }
}

static TF_Output tensor_named(TF_Graph *graph, const char *name) {
  char operation[256];
  const char *colon = strrchr(name, ':');
  if (colon == NULL || (size_t)(colon - name) >= sizeof operation) {
    fprintf(stderr, "classify: no name of a tensor: %s\n", name);
    exit(2);
  }
  memcpy(operation, name, (size_t)(colon - name));
  operation[colon - name] = '\0';
  TF_Output output = {TF_GraphOperationByName(graph, operation), atoi(colon + 1)};
  if (output.oper == NULL) {
    fprintf(stderr, "classify: the graph has no operation %s\n", operation);
    exit(2);
  }
  return output;
}

static void read_file(const char *path, TF_TString *into) {
  FILE *file = fopen(path, "rb");
  if (file == NULL || fseek(file, 0, SEEK_END) != 0) {
    perror(path);
    exit(2);
  }
  size_t length = (size_t)ftell(file);
  rewind(file);
  char *bytes = malloc(length + 1);
  if (bytes == NULL || fread(bytes, 1, length, file) != length) {
    perror(path);
    exit(2);
  }
  fclose(file);
  TF_StringInit(into);
  TF_StringCopy(into, bytes, length);
  free(bytes);
}

static void print_string(const TF_Tensor *tensor, int row) {
  const TF_TString *text = (const TF_TString *)TF_TensorData(tensor) + row;
  printf("%.*s", (int)TF_StringGetSize(text), TF_StringGetDataPointer(text));
}

int main(int argc, char **argv) {
  if (argc < 7) {
    fprintf(stderr, "usage: classify MODEL INPUT GENRE ERROR N_CHUNKS FILE...\n");
    return 2;
  }
  TF_Status *status = TF_NewStatus();
  TF_Graph *graph = TF_NewGraph();
  TF_SessionOptions *options = TF_NewSessionOptions();
  const char *tags[] = {"serve"};
  TF_Session *session = TF_LoadSessionFromSavedModel(options, NULL, argv[1], tags, 1, graph, NULL, status);
  check(status);

  int64_t n_files = argc - 6;
  TF_Tensor *audio = TF_AllocateTensor(TF_STRING, &n_files, 1, (size_t)n_files * sizeof(TF_TString));
  for (int row = 0; row < n_files; row++) {
    read_file(argv[6 + row], (TF_TString *)TF_TensorData(audio) + row);
  }
  TF_Output input = tensor_named(graph, argv[2]);
  TF_Output outputs[] = {tensor_named(graph, argv[3]), tensor_named(graph, argv[4]), tensor_named(graph, argv[5])};
  TF_Tensor *answers[3] = {NULL, NULL, NULL};
  TF_SessionRun(session, NULL, &input, &audio, 1, outputs, answers, 3, NULL, 0, NULL, status);
  check(status);
  for (int row = 0; row < n_files; row++) {
    print_string(answers[0], row);
    printf("\t%lld\t", (long long)((const int64_t *)TF_TensorData(answers[2]))[row]);
    print_string(answers[1], row);
    printf("\n");
  }
  for (int i = 0; i < 3; i++) TF_DeleteTensor(answers[i]);
  TF_DeleteTensor(audio);
  TF_CloseSession(session, status);
  check(status);
  TF_DeleteSession(session, status);
  TF_DeleteSessionOptions(options);
  TF_DeleteGraph(graph);
  TF_DeleteStatus(status);
  return 0;
}
