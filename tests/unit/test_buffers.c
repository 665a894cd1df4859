/*
 * The places that the planner gives to feature maps and gradients, seen from outside: a network
 * whose buffers share memory must yield bit by bit what it yields when each has its own, however
 * many threads there are. And what bf16 changes.
 */
#include "test.h"

#include <math.h>

#include "genotype_samples.h"
#include "train_graphs.h"
#include "train_run.h"

enum { random_graphs = 40, random_genotypes = 12, fixed_graphs = sketch_hard_count + 4 };

static mn_graph *lowered_random(uint64_t seed)
{
    const sample_limits most = {
        .side = 9, .channels = 3, .classes = 5, .width = 18, .blocks = 2, .cells = 3};
    mn_random random = mn_random_make(seed, 43);
    mn_genotype g = sample_random(&random, &most);
    return tiny_lower(&g);
}

/* Shapes that have been hard, then whole genotypes. */
static mn_graph *fixed_graph(uint32_t k)
{
    if (k < sketch_hard_count)
        return sketch_hard(k);
    mn_genotype genotypes[4] = {tiny_genotype(MN_HEAD_GAP),
                                tiny_genotype(MN_HEAD_MAXPOOL2),
                                tiny_small_genotype(),
                                tiny_mobile_genotype()};
    return tiny_lower(&genotypes[k - sketch_hard_count]);
}

static void for_all_graphs(void (*check)(const mn_graph *graph, const char *what))
{
    char what[48];
    for (uint32_t i = 0; i < fixed_graphs + random_graphs + random_genotypes; i++) {
        mn_graph *graph = i < fixed_graphs                   ? fixed_graph(i)
                          : i < fixed_graphs + random_graphs ? sketch_random(1000 + i)
                                                             : lowered_random(i);
        snprintf(what, sizeof what, "graph %u", i);
        check(graph, what);
        mn_graph_free(graph);
    }
}

/* Of two runs. */
static void check_same(const train_run *a, const train_run *b, const char *what)
{
    const mn_graph *graph = a->net->graph;
    size_t logits = (size_t)run_batch * a->net->classes * sizeof(float);
    if (memcmp(a->net->logits, b->net->logits, logits) != 0)
        fail_msg("%s: the logits differ", what);
    for (size_t i = 0; i < (size_t)run_batch * a->net->classes; i++)
        assert_true(isfinite(a->net->logits[i]));
    for (uint32_t t = 0; t < a->gradients->count; t++) {
        size_t bytes = mn_graph_tensor_elements(graph, t) * sizeof(float);
        if (memcmp(a->gradients->items[t].data, b->gradients->items[t].data, bytes) != 0)
            fail_msg("%s: the gradient of %s differs", what, mn_graph_tensor(graph, t)->name);
        for (size_t i = 0; i < bytes / sizeof(float); i++)
            assert_true(isfinite(((const float *)a->gradients->items[t].data)[i]));
    }
}

/* ---- places ---------------------------------------------------------------------------------- */

static void check_places(const mn_graph *graph, const char *what, const mn__simd *simd)
{
    for (uint32_t slices = 1; slices <= 3; slices++) {
        train_run apart = run_create(graph, simd, slices, true);
        train_run planned = run_create(graph, simd, slices, false);
        run_once(&apart);
        run_once(&planned);
        check_same(&apart, &planned, what);
        run_done(&apart);
        run_done(&planned);
    }
}

static void check_places_float(const mn_graph *graph, const char *what)
{
    check_places(graph, what, mn__simd_choose(false));
}

static void check_places_bf16(const mn_graph *graph, const char *what)
{
    check_places(graph, what, mn__simd_choose(true));
}

static void test_planned_places(void **state)
{
    (void)state;
    for_all_graphs(check_places_float);
}

static void test_planned_places_bf16(void **state)
{
    (void)state;
    if (mn__simd_choose(true) == NULL)
        skip();
    for_all_graphs(check_places_bf16);
}

/* A second run of the same network, and of another one, yield what the first did: nothing is left
 * over, and nothing depends on where memory lies. */
static void check_repeats(const mn_graph *graph, const char *what)
{
    for (uint32_t slices = 1; slices <= 3; slices += 2) {
        train_run one = run_create(graph, mn__simd_choose(false), slices, false);
        train_run two = run_create(graph, mn__simd_choose(false), slices, false);
        run_once(&one);
        run_once(&two);
        check_same(&one, &two, what);
        run_once(&two);
        check_same(&one, &two, what);
        run_done(&one);
        run_done(&two);
    }
}

static void test_repeats(void **state)
{
    (void)state;
    for_all_graphs(check_repeats);
}

/* ---- bytes ----------------------------------------------------------------------------------- */

/* Buffers that are alive in the same step lie apart, and within what was planned. */
static void check_pairs(const mn__network *net, const char *what)
{
    for (const mn__buffer *a = net->buffers; a != NULL; a = a->next)
        for (const mn__buffer *b = a->next; b != NULL && a->first != MN_NONE; b = b->next) {
            bool meet = b->first != MN_NONE && a->first <= b->last && b->first <= a->last;
            if (meet && a->data < b->data + b->bytes && b->data < a->data + a->bytes)
                fail_msg("%s: buffers of steps [%u,%u] and [%u,%u] overlap",
                         what,
                         a->first,
                         a->last,
                         b->first,
                         b->last);
        }
}

/* At least what is alive in any step, at most what all buffers together take. */
static void check_bytes(const mn_graph *graph, const char *what)
{
    train_run run = run_create(graph, mn__simd_choose(false), 1, false);
    train_run apart = run_create(graph, mn__simd_choose(false), 1, true);
    const uint32_t steps = run.net->forward.count + run.net->backward.count;
    size_t *alive = calloc(steps, sizeof *alive);
    size_t all = 0;
    assert_non_null(alive);
    for (const mn__buffer *b = run.net->buffers; b != NULL; b = b->next) {
        if (b->first == MN_NONE)
            continue;
        assert_true(b->last < steps && b->first <= b->last);
        assert_true(b->bytes <= run.net->planned_bytes);
        all += b->bytes;
        for (uint32_t s = b->first; s <= b->last; s++)
            alive[s] += b->bytes;
    }
    for (uint32_t s = 0; s < steps; s++)
        assert_true(alive[s] <= run.net->planned_bytes);
    assert_true(run.net->planned_bytes <= all);
    assert_int_equal(apart.net->planned_bytes, all);
    check_pairs(run.net, what);
    check_pairs(apart.net, what);
    free(alive);
    run_done(&run);
    run_done(&apart);
}

static void test_planned_bytes(void **state)
{
    (void)state;
    for_all_graphs(check_bytes);
}

/* ---- bf16 ------------------------------------------------------------------------------------ */

/* Cosine of the angle between two tensors; 1 where the first is next to nothing, as the gradient of
 * a bias in front of a batch norm, which is what rounding leaves. */
static double cosine(const float *a, const float *b, size_t count)
{
    double aa = 0.0, bb = 0.0, ab = 0.0;
    for (size_t i = 0; i < count; i++) {
        aa += (double)a[i] * (double)a[i];
        bb += (double)b[i] * (double)b[i];
        ab += (double)a[i] * (double)b[i];
    }
    return sqrt(aa) < 1e-3 ? 1.0 : ab / sqrt(aa * bb);
}

static int compare_doubles(const void *a, const void *b)
{
    const double *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

/* Every tensor's cosine is above `least`, and the middle one above `middle`. */
static void check_bf16(const mn_graph *graph, uint32_t number, double least, double middle)
{
    double cosines[256];
    uint32_t count = 0;
    train_run wide = run_create(graph, mn__simd_choose(false), 1, false);
    train_run narrow = run_create(graph, mn__simd_choose(true), 1, false);
    run_once(&wide);
    run_once(&narrow);
    assert_true(wide.gradients->count <= 256);
    for (uint32_t t = 0; t < wide.gradients->count; t++) {
        if (!run_learns(graph, t))
            continue;
        double c = cosine(wide.gradients->items[t].data,
                          narrow.gradients->items[t].data,
                          mn_graph_tensor_elements(graph, t));
        if (!(c > least))
            fail_msg("graph %u: %s: cosine %g", number, mn_graph_tensor(graph, t)->name, c);
        cosines[count++] = c;
    }
    qsort(cosines, count, sizeof *cosines, compare_doubles);
    if (!(cosines[count / 2] > middle))
        fail_msg("graph %u: cosine %g in the middle", number, cosines[count / 2]);
    run_done(&wide);
    run_done(&narrow);
}

/* Rounding to bf16 moves a number by up to 2^-8 of itself, 0.1 % on the average, and errors of
 * several layers add like a random walk: a percent, or a cosine of 1 - 1e-4, where the network is
 * smooth. A relu is not: pixels whose values are within a percent of zero pass their gradient on
 * one side only, which is a tenth of the gradient after a few layers, and more for sums over all
 * pixels that cancel, as those of norms do. They cancel most where a depthwise convolution with a
 * norm of its own follows, which undoes what the first norm scales: the last network has four of
 * those, and is closer in the middle. A wrong lane or tap anywhere is worse than any of that. */
static void test_bf16(void **state)
{
    (void)state;
    if (mn__simd_choose(true) == NULL)
        skip();
    for (uint32_t i = 0; i < fixed_graphs; i++) {
        mn_graph *graph = fixed_graph(i);
        bool smooth = i == 0 || i == 5; /* no relu at all, or beside the way to most tensors */
        if (i + 1 == fixed_graphs)
            check_bf16(graph, i, 0.8, 0.995);
        else
            check_bf16(graph, i, smooth ? 0.9995 : 0.9, smooth ? 0.9999 : 0.98);
        mn_graph_free(graph);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_planned_places),
        cmocka_unit_test(test_planned_places_bf16),
        cmocka_unit_test(test_repeats),
        cmocka_unit_test(test_planned_bytes),
        cmocka_unit_test(test_bf16),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
