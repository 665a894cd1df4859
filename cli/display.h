/*
 * How a search shows itself: on a terminal one line that is drawn over and over, and lines that
 * stay for steps that were reached; elsewhere the latter alone.
 */
#ifndef MN_CLI_DISPLAY_H
#define MN_CLI_DISPLAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "memnet/search.h"

#define MN__LINE_BYTES 512

typedef struct mn__display {
    FILE *out;
    bool live;        /* `out` is a terminal that can redraw a line */
    bool drawn;       /* a status line stands there now */
    int64_t drawn_ms; /* when it was drawn last */
    char last[MN__LINE_BYTES];
} mn__display;

void mn__display_init(mn__display *display, FILE *out);

/* The progress function of a search; `context` is the mn__display. */
void mn__display_progress(void *context, const mn_progress *progress);

/* Wipes the status line. */
void mn__display_done(mn__display *display);

/* The status line in at most `columns` columns: a full form, a short one where that does not fit,
 * or the start of the short one. ASCII. */
void mn__display_status(const mn_progress *progress, size_t columns, char ret[MN__LINE_BYTES]);

/* The line that stays. */
void mn__display_landed(const mn_progress *progress, char ret[MN__LINE_BYTES]);

#endif
