/*
 * The history of a training: its learning curve and how long it took. It travels in a file beside
 * the checkpoint, so that an interrupted training reports the same as an uninterrupted one.
 */
#ifndef MN_SEARCH_HISTORY_H
#define MN_SEARCH_HISTORY_H

#include "base/json.h"

/* `points` (epochs) are [epoch, training loss, validation accuracy]; `times` (epochs) the ms of
 * training until the end of each. Zeroed: empty. */
typedef struct mn__history {
    json_t *points;
    json_t *times;
} mn__history;

mn_status mn__history_init(mn__history *history, mn_error *err);
void mn__history_done(mn__history *history);

/* MN_ERR_NOMEM; MN_ERR_LIMIT when a number is not finite. */
mn_status mn__history_add(
    mn__history *history, double loss, double accuracy, int64_t elapsed_ms, mn_error *err);

/* Milliseconds until the end of the last epoch; 0 without one. */
int64_t mn__history_ms(const mn__history *history);

/* The curve as JSON; the caller frees it; NULL when out of memory. */
char *mn__history_curve(const mn__history *history);

mn_status mn__history_save(const mn__history *history, const char *checkpoint, mn_error *err);

/* Reads the first `epochs` (> 0) of what was saved beside `checkpoint` into a zeroed history; false
 * (and still empty) when the file is missing, damaged or too short. */
bool mn__history_load(mn__history *history, const char *checkpoint, uint32_t epochs);

#endif
