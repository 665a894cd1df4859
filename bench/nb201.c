/*
 * The table of NAS-Bench-201 and its encodings.
 */
#include "nb201.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/size.h"

enum { op_none, op_skip, op_conv_1x1, op_conv_3x3, op_pool, nodes = 4, paths = 4, longest = 3 };

static const uint8_t from[nb201_edges] = {0, 0, 1, 0, 1, 2};
static const uint8_t to[nb201_edges] = {1, 2, 2, 3, 3, 3};

/* The ways from input to output, by their edges. */
static const int8_t ways[paths][longest] = {{3, -1, -1}, {0, 4, -1}, {1, 5, -1}, {0, 2, 5}};

void nb201_prune(const uint8_t code[nb201_edges], uint8_t ret_live[nb201_edges])
{
    bool reached[nodes] = {true};
    bool used[nodes] = {[nodes - 1] = true};
    uint8_t *live = ret_live;
    for (int e = 0; e < nb201_edges; e++) /* edges stand in topological order */
        if (code[e] != op_none && reached[from[e]])
            reached[to[e]] = true;
    for (int e = nb201_edges - 1; e >= 0; e--)
        if (code[e] != op_none && used[to[e]])
            used[from[e]] = true;
    for (int e = 0; e < nb201_edges; e++)
        live[e] = reached[from[e]] && used[to[e]] ? code[e] : op_none;
    if (live[2] != op_none || live[0] * nb201_ops + live[4] >= live[1] * nb201_ops + live[5])
        return;
    const uint8_t kept[2] = {live[0], live[4]};
    live[0] = live[1];
    live[4] = live[5];
    live[1] = kept[0];
    live[5] = kept[1];
}

/* One row an edge: which edge, which op; none is all zeros. */
static void encode_edges(const uint8_t code[nb201_edges], nb201_sequence *sequence)
{
    for (int e = 0; e < nb201_edges; e++) {
        sequence->rows[e][e] = 1.0f;
        if (code[e] != op_none)
            sequence->rows[e][nb201_edges + code[e] - 1] = 1.0f;
    }
}

/* What one way does to the input. */
typedef struct way {
    uint32_t ops, convs, convs_3x3, pools; /* skips do nothing */
} way;

/* False when an edge of it is missing. */
static bool walk(const uint8_t live[nb201_edges], const int8_t edges[longest], way *ret_way)
{
    way w = {0};
    for (int i = 0; i < longest && edges[i] >= 0; i++) {
        uint8_t op = live[edges[i]];
        if (op == op_none)
            return false;
        w.ops += op != op_skip;
        w.convs += op == op_conv_1x1 || op == op_conv_3x3;
        w.convs_3x3 += op == op_conv_3x3;
        w.pools += op == op_pool;
    }
    *ret_way = w;
    return true;
}

static void widen(uint32_t x, uint32_t *least, uint32_t *most)
{
    *least = x < *least ? x : *least;
    *most = x > *most ? x : *most;
}

/* Numbers of the cell as a whole; the same ones that rank/encode.c makes of blocks, and those of
 * the ways. */
static void encode_globals(nb201 *table, uint32_t i)
{
    const uint8_t *live = table->live[i];
    float *g = table->globals[i];
    uint32_t ops[2] = {9, 0}, convs[2] = {9, 0}, pools[2] = {9, 0}; /* least and most */
    uint32_t count = 0, direct = 0, sum = 0, most_3x3 = 0, widest = 0, unused = 9;
    uint32_t weights = 0;
    way w;
    for (int p = 0; p < paths; p++) {
        if (!walk(live, ways[p], &w))
            continue;
        count++;
        sum += w.convs;
        direct |= w.ops == 0;
        widen(w.ops, &ops[0], &ops[1]);
        widen(w.convs, &convs[0], &convs[1]);
        widen(w.pools, &pools[0], &pools[1]);
        widen(w.convs_3x3, &unused, &most_3x3);
        widen(w.convs_3x3 + w.pools, &unused, &widest);
    }
    for (int e = 0; e < nb201_edges; e++)
        weights += live[e] == op_conv_3x3 ? 9 : live[e] == op_conv_1x1;
    const double values[] = {log(weights + 1.0),
                             log(table->params[i]),
                             log(table->macs[i]),
                             count,
                             convs[1],
                             count > 0 ? convs[0] : 0,
                             ops[1],
                             count > 0 ? ops[0] : 0,
                             pools[1],
                             count > 0 ? pools[0] : 0,
                             direct,
                             most_3x3,
                             widest,
                             count > 0 ? (double)sum / count : 0.0};
    enum { number = sizeof values / sizeof values[0] };
    for (int k = 0; k < number; k++)
        g[k] = (float)values[k];
    for (int e = 0; e < nb201_edges; e++)
        if (live[e] != op_none)
            g[number + live[e] - 1] += 1.0f;
}

static void encode(nb201 *table, uint32_t i)
{
    nb201_prune(table->codes[i], table->live[i]);
    encode_edges(table->codes[i], &table->code_rows[i]);
    encode_edges(table->live[i], &table->live_rows[i]);
    encode_globals(table, i);
    mn__rank_sample sample = {
        .steps = nb201_edges,
        .features = table->code_rows[i].rows[0],
        .targets = {table->accuracy[i], log(table->params[i]), log(table->macs[i])}};
    table->plain[i] = sample;
    sample.features = table->live_rows[i].rows[0];
    sample.globals = table->globals[i];
    table->samples[i] = sample;
}

static mn_status parse_line(nb201 *table, const char *line, uint32_t i, mn_error *err)
{
    uint32_t idx = 0;
    char code[nb201_edges + 1];
    double accuracy, params, macs;
    if (sscanf(line, /* NOLINT(cert-err34-c): the table is checked by its ranges */
               "%" SCNu32 ",%6[0-4],%*u,%lf,%*f,%*f,%lf,%lf",
               &idx,
               code,
               &accuracy,
               &params,
               &macs) != 5 ||
        idx != i || strlen(code) != nb201_edges || !(accuracy > 0.0 && accuracy <= 100.0) ||
        !(params > 0.0) || !(macs > 0.0))
        return mn_error_set(err, MN_ERR_FORMAT, "line %" PRIu32 ": not a row of nb201.csv", i + 2);
    for (int e = 0; e < nb201_edges; e++)
        table->codes[i][e] = (uint8_t)(code[e] - '0');
    table->accuracy[i] = accuracy;
    table->params[i] = params;
    table->macs[i] = macs;
    table->best = accuracy > table->best ? accuracy : table->best;
    encode(table, i);
    return MN_OK;
}

mn_status nb201_read(const char *path, nb201 **ret_table, mn_error *err)
{
    char *text = NULL;
    char *rest = NULL;
    size_t bytes = 0;
    nb201 *table = mn_calloc(1, sizeof *table);
    mn_status status = table != NULL ? mn_file_read(path, 1 << 24, &text, &bytes, err)
                                     : mn_error_set(err, MN_ERR_NOMEM, "no room for NAS-Bench-201");
    if (status == MN_OK)
        (void)strtok_r(text, "\n", &rest); /* the names of the columns */
    for (uint32_t i = 0; status == MN_OK && i < nb201_count; i++) {
        const char *line = strtok_r(NULL, "\n", &rest);
        status = parse_line(table, line != NULL ? line : "", i, err);
        if (status != MN_OK)
            (void)mn_error_prefix(err, status, "%s", path);
    }
    if (status == MN_OK) {
        *ret_table = table;
        table = NULL;
    }
    free(text);
    free(table);
    return status;
}
