/*
 * What planning gains on given networks.
 *
 *     plan_files FILE...
 *
 * FILE is what `memnet memory` takes. A line for each: the most that is alive when the steps run in
 * the file's order and every value has a buffer of its own (reshapes alias); the arena that greedy
 * placement makes of that (buffers by falling size, each at the lowest gap, as TensorFlow Lite
 * Micro does); memnet's arena; the lower bound; and what planning cost.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/size.h"
#include "cli/pipeline.h"

typedef struct interval {
    size_t bytes, offset;
    uint32_t first, last;
} interval;

static double now_ms(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

/* One interval for each value but reshapes; time is the number of the node. Returns how many. */
static uint32_t make_intervals(const mn_graph *graph, interval *values, uint32_t *value_of)
{
    uint32_t nodes = mn_graph_node_count(graph);
    uint32_t count = 0;
    for (uint32_t n = 0; n < nodes; n++) {
        const mn_node *node = mn_graph_node(graph, n);
        size_t element = node->element_bytes > 0 ? node->element_bytes : sizeof(float);
        if (node->prim == MN_PRIM_RESHAPE) {
            value_of[n] = value_of[node->inputs[0]];
        } else {
            value_of[n] = count;
            values[count++] =
                (interval){.bytes = (mn_shape_elements(node->shape) * element + 15) / 16 * 16,
                           .first = node->prim == MN_PRIM_INPUT ? 0 : n,
                           .last = n};
        }
        for (uint32_t i = 0; i < node->input_count; i++)
            values[value_of[node->inputs[i]]].last = n;
    }
    for (uint32_t i = 0; i < mn_graph_output_count(graph); i++)
        values[value_of[mn_graph_output(graph, i)]].last = nodes;
    return count;
}

static size_t most_alive(const interval *values, uint32_t count, uint32_t nodes)
{
    size_t most = 0;
    for (uint32_t t = 0; t <= nodes; t++) {
        size_t live = 0;
        for (uint32_t i = 0; i < count; i++)
            live += values[i].first <= t && t <= values[i].last ? values[i].bytes : 0;
        most = live > most ? live : most;
    }
    return most;
}

static int larger_first(const void *a, const void *b)
{
    const interval *x = a;
    const interval *y = b;
    if (x->bytes != y->bytes)
        return x->bytes > y->bytes ? -1 : 1;
    return x->first > y->first ? -1 : x->first < y->first; /* as there: the last one first */
}

/* Each at the lowest offset where it meets none that is placed and alive with it. */
static size_t place_greedily(interval *values, uint32_t count)
{
    size_t arena = 0;
    qsort(values, count, sizeof *values, larger_first);
    for (uint32_t i = 0; i < count; i++) {
        interval *v = &values[i];
        v->offset = 0;
        for (uint32_t k = 0; k < i; k++) {
            const interval *other = &values[k];
            if (v->first <= other->last && other->first <= v->last &&
                v->offset < other->offset + other->bytes && other->offset < v->offset + v->bytes) {
                v->offset = other->offset + other->bytes;
                k = UINT32_MAX; /* from the first one again */
            }
        }
        arena = v->offset + v->bytes > arena ? v->offset + v->bytes : arena;
    }
    return arena;
}

static mn_status report(const char *path, mn_error *err)
{
    mn__pipeline network = {0};
    interval *values = NULL;
    uint32_t *value_of = NULL;
    mn_status status = mn__pipeline_load(path, &network, err);
    double start = now_ms();
    if (status == MN_OK)
        status = mn__pipeline_plan(&network, MN_PRECISION_FLOAT32, err);
    double ms = now_ms() - start;
    if (status != MN_OK)
        goto done;
    uint32_t nodes = mn_graph_node_count(network.deployed);
    values = mn_calloc(nodes, sizeof *values);
    value_of = mn_calloc(nodes, sizeof *value_of);
    if (values == NULL || value_of == NULL) {
        status = mn_error_set(err, MN_ERR_NOMEM, "out of memory");
        goto done;
    }
    uint32_t count = make_intervals(network.deployed, values, value_of);
    size_t alive = most_alive(values, count, nodes);
    printf("%12zu %12zu %12zu %12zu  %6s %8" PRIu32 " %8.1f  %s\n",
           alive,
           place_greedily(values, count),
           network.plan->arena_bytes,
           network.plan->lower_bound_bytes,
           network.plan->arena_bytes == network.plan->lower_bound_bytes ? "yes" : "no",
           network.plan->states,
           ms,
           path);
done:
    free(values);
    free(value_of);
    mn__pipeline_done(&network);
    return status;
}

int main(int argc, char **argv)
{
    mn_error err;
    printf("%12s %12s %12s %12s  %6s %8s %8s  %s\n",
           "file order",
           "greedy",
           "memnet",
           "lower bound",
           "proven",
           "states",
           "ms",
           "network");
    for (int i = 1; i < argc; i++) {
        if (report(argv[i], &err) != MN_OK) {
            fprintf(stderr, "plan_files: %s\n", err.message);
            return 1;
        }
    }
    return 0;
}
