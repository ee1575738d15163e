/* The files of 02_sentiment: film reviews come in, the history and the answers go out. What fails ends the program.
 * A line of reviews is `rating<TAB>text`; the label is 1 where the rating is above zero, and the weight its distance from
 * zero: how sure the people were who rated. */
#ifndef SENTIMENT_H
#define SENTIMENT_H

#include "example.h"
#include <string.h>

enum { REVIEWS_CAPACITY = 16384 };

typedef struct reviews {
  size_t count;
  const char *texts[REVIEWS_CAPACITY];
  float labels[REVIEWS_CAPACITY];
  float weights[REVIEWS_CAPACITY];
} reviews;

/* The path of a file in a folder, in memory that the next call uses again. */
static inline const char *path_in(const char *folder, const char *name) {
  static char path[4096];
  snprintf(path, sizeof path, "%s/%s", folder, name);
  return path;
}

static inline FILE *open_in(const char *folder, const char *name, const char *mode) {
  FILE *file = fopen(path_in(folder, name), mode);
  if (!file) {
    perror(path_in(folder, name));
    exit(1);
  }
  return file;
}

static inline void read_reviews(const char *folder, const char *name, reviews *into) {
  static char line[8192];
  FILE *file = open_in(folder, name, "r");
  for (into->count = 0; into->count < REVIEWS_CAPACITY && fgets(line, sizeof line, file); into->count++) {
    char *text = strchr(line, '\t');
    char *copy = text ? malloc(strlen(text)) : NULL;
    if (!copy) {
      fprintf(stderr, "%s: line %zu is not `rating<TAB>text`\n", path_in(folder, name), into->count + 1);
      exit(1);
    }
    text[strcspn(text, "\r\n")] = '\0';
    into->texts[into->count] = strcpy(copy, text + 1);
    into->labels[into->count] = atof(line) > 0 ? 1.0f : 0.0f;
    into->weights[into->count] = (float)(atof(line) > 0 ? atof(line) : -atof(line));
  }
  fclose(file);
}

static inline void close_written(FILE *file, const char *what) {
  if (ferror(file) | fclose(file)) {
    perror(what);
    exit(1);
  }
}

/* One line for each epoch, the columns of the history. */
static inline void write_history(const char *folder, const char *name, const lstm_history *history) {
  FILE *file = open_in(folder, name, "w");
  for (uint32_t c = 0; c < history->columns; c++) fprintf(file, "%s%s", c ? "," : "", history->names[c]);
  for (size_t row = 0; row < history->rows; row++)
    for (uint32_t c = 0; c < history->columns; c++)
      fprintf(file, "%s%.6f", c ? "," : "\n", history->values[row * LSTM_MAX_COLUMNS + c]);
  fprintf(file, "\n");
  close_written(file, name);
}

static inline void write_answers(const char *folder, const char *name, const float *answers, size_t count) {
  FILE *file = open_in(folder, name, "wb");
  fwrite(answers, sizeof *answers, count, file);
  close_written(file, name);
}

#endif
