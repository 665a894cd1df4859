/*
 * Histories of trainings. Invariant: as many points as times.
 */
#include "search/history.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/size.h"

static const size_t max_file_bytes = (size_t)16 << 20;

mn_status mn__history_init(mn__history *history, mn_error *err)
{
    *history = (mn__history){.points = json_array(), .times = json_array()};
    if (history->points != NULL && history->times != NULL)
        return MN_OK;
    mn__history_done(history);
    return mn_error_set(err, MN_ERR_NOMEM, "out of memory");
}

void mn__history_done(mn__history *history)
{
    json_decref(history->points);
    json_decref(history->times);
    *history = (mn__history){0};
}

mn_status mn__history_add(
    mn__history *history, double loss, double accuracy, int64_t elapsed_ms, mn_error *err)
{
    int epoch = (int)json_array_size(history->points) + 1;
    if (!isfinite(loss) || !isfinite(accuracy))
        return mn_error_set(
            err, MN_ERR_LIMIT, "epoch %d: loss %g, accuracy %g", epoch, loss, accuracy);
    json_t *point = json_pack("[i, f, f]", epoch, loss, accuracy);
    if (json_array_append_new(history->points, point) != 0 ||
        json_array_append_new(history->times, json_integer(elapsed_ms)) != 0)
        return mn_error_set(err, MN_ERR_NOMEM, "out of memory");
    return MN_OK;
}

int64_t mn__history_ms(const mn__history *history)
{
    size_t count = json_array_size(history->times);
    return count == 0 ? 0 : json_integer_value(json_array_get(history->times, count - 1));
}

char *mn__history_curve(const mn__history *history)
{
    return json_dumps(history->points, JSON_COMPACT | JSON_REAL_PRECISION(9));
}

static char *path_beside(const char *checkpoint)
{
    size_t bytes = strlen(checkpoint) + sizeof ".history";
    char *path = mn_calloc(bytes, 1);
    if (path != NULL)
        snprintf(path, bytes, "%s.history", checkpoint);
    return path;
}

mn_status mn__history_save(const mn__history *history, const char *checkpoint, mn_error *err)
{
    char *path = path_beside(checkpoint);
    json_t *object = json_pack("{s:O, s:O}", "points", history->points, "times", history->times);
    char *text = object == NULL ? NULL : json_dumps(object, JSON_COMPACT);
    mn_status status = MN_OK;
    if (path == NULL || text == NULL)
        status = mn_error_set(err, MN_ERR_NOMEM, "out of memory");
    if (status == MN_OK)
        status = mn_file_write(path, text, strlen(text), err);
    free(text);
    json_decref(object);
    free(path);
    return status;
}

static bool is_point(const json_t *point, size_t epoch)
{
    return json_array_size(point) == 3 &&
           json_integer_value(json_array_get(point, 0)) == (json_int_t)epoch &&
           json_is_real(json_array_get(point, 1)) && json_is_real(json_array_get(point, 2));
}

/* Copies the first epochs of a file's object. */
static bool take(mn__history *history, const json_t *object, uint32_t epochs)
{
    const json_t *points = json_object_get(object, "points");
    const json_t *times = json_object_get(object, "times");
    if (json_array_size(points) < epochs || json_array_size(times) < epochs)
        return false;
    for (size_t i = 0; i < epochs; i++) {
        json_t *point = json_array_get(points, i);
        json_t *time = json_array_get(times, i);
        if (!is_point(point, i + 1) || !json_is_integer(time) || json_integer_value(time) < 0)
            return false;
        if (json_array_append(history->points, point) != 0 ||
            json_array_append(history->times, time) != 0)
            return false;
    }
    return true;
}

bool mn__history_load(mn__history *history, const char *checkpoint, uint32_t epochs)
{
    char *path = path_beside(checkpoint);
    char *text = NULL;
    size_t count = 0;
    json_t *object = NULL;
    bool taken = path != NULL && mn__history_init(history, NULL) == MN_OK &&
                 mn_file_read(path, max_file_bytes, &text, &count, NULL) == MN_OK &&
                 mn_json_parse("history", text, count, max_file_bytes, &object, NULL) == MN_OK &&
                 take(history, object, epochs);
    if (!taken)
        mn__history_done(history);
    json_decref(object);
    free(text);
    free(path);
    return taken;
}
