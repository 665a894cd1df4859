/*
 * How fast and how well networks of the search space are planned.
 *
 *     plan_space [--count N] [--seed N] [--cells FROM TO] [--width W] [--states N] [--list]
 *     plan_space --bounded N [--most BYTES] [--compare] [--seed N] [--cells FROM TO] [--width W]
 *
 * For each number of cells a block: N random networks in the paper's frame (CIFAR-10, five blocks
 * of strides 1, 2, 1, 2, 1), grown as the search grows them, half of them trimmed. `proven` counts
 * the arenas that equal the lower bound; arena, bound and the peak of the greedy order are means in
 * bytes, times are of the processor, the gap is the mean of those not proven, the paper's metric
 * stands in relation to the arena. --list names the networks that are not proven. The second form
 * checks candidates of all sizes against a bound for weights and arena; --compare plans them too.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/random.h"
#include "base/size.h"
#include "memnet/deploy.h"
#include "memnet/genotype.h"
#include "memnet/plan.h"

typedef struct request {
    uint32_t count, seed, from, to, width;
    uint32_t bounded;  /* 0: plan networks; else so many are checked against most_bytes */
    size_t most_bytes; /* weights and arena */
    mn_plan_opts opts;
    bool list, compare;
} request;

typedef struct tally {
    uint32_t order_proven, proven, over_time;
    double total_ms, worst_ms;
    uint64_t states;
    uint32_t most_states;
    double arena, bound, greedy;    /* sums */
    double gap;                     /* sum of arena over bound, less one, where not proven */
    double paper_least, paper_most; /* the paper's metric over the arena */
} tally;

static double now_ms(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static mn_genotype random_genotype(mn_random *random, uint32_t cells, uint32_t width)
{
    static const uint32_t strides[5] = {1, 2, 1, 2, 1};
    static const uint32_t factors[5] = {1, 1, 2, 2, 4};
    mn_genotype g = {.input = {32, 32, 3}, .classes = 10, .block_count = 5};
    g.head = MN_HEAD_MAXPOOL2;
    if (mn_random_below(random, 2) == 0)
        g.stem = (mn_stem){.width = width, .stride = 1};
    for (uint32_t b = 0; b < 5; b++)
        g.blocks[b] = (mn_block){.stride = strides[b], .width = width * factors[b]};
    for (uint32_t k = 0; k < cells; k++) {
        mn_cell cell = {.out = true};
        for (int i = 0; i < 2; i++) {
            cell.in[i] = mn_random_below(random, k + 1);
            cell.op[i] = (mn_cell_op)mn_random_below(random, MN_PAPER_OP_COUNT);
        }
        cell.combine = (mn_combine)mn_random_below(random, 2);
        for (uint32_t b = 0; b < 5; b++)
            g.blocks[b].cells[g.blocks[b].cell_count++] = cell;
    }
    uint32_t trims = mn_random_below(random, 2) * mn_random_below(random, 2 * cells);
    for (uint32_t i = 0; i < trims; i++) {
        mn_genotype trimmed = g;
        mn_cell *cell =
            &trimmed.blocks[mn_random_below(random, 5)].cells[mn_random_below(random, cells)];
        if (mn_random_below(random, 3) == 0)
            cell->out = false;
        else
            cell->op[mn_random_below(random, 2)] = MN_OP_IDENTITY;
        if (mn_genotype_check(&trimmed, NULL) == MN_OK)
            g = trimmed;
    }
    return g;
}

static void fail(const mn_error *err)
{
    fprintf(stderr, "plan_space: %s\n", err->message);
    exit(1);
}

static void plan_one(const request *r, const mn_genotype *g, tally *row, uint32_t index)
{
    mn_graph *graph = NULL;
    mn_graph *deployed = NULL;
    mn_plan *plan = NULL;
    mn_error err;
    if (mn_genotype_lower(g, &graph, &err) != MN_OK ||
        mn_deploy(graph, NULL, &deployed, NULL, &err) != MN_OK)
        fail(&err);
    double start = now_ms();
    if (mn_plan_create(deployed, &r->opts, &plan, &err) != MN_OK)
        fail(&err);
    double ms = now_ms() - start;
    row->order_proven += plan->order_proven;
    row->proven += plan->arena_bytes == plan->lower_bound_bytes;
    row->over_time += ms > 100;
    row->total_ms += ms;
    row->worst_ms = ms > row->worst_ms ? ms : row->worst_ms;
    row->states += plan->states;
    row->most_states = plan->states > row->most_states ? plan->states : row->most_states;
    row->arena += (double)plan->arena_bytes;
    row->bound += (double)plan->lower_bound_bytes;
    row->greedy += (double)plan->greedy_peak_bytes;
    row->gap += (double)plan->arena_bytes / (double)plan->lower_bound_bytes - 1;
    double paper = (double)plan->paper_intermediate_bytes / (double)plan->arena_bytes;
    row->paper_least = row->paper_least == 0 || paper < row->paper_least ? paper : row->paper_least;
    row->paper_most = paper > row->paper_most ? paper : row->paper_most;
    if (r->list && plan->arena_bytes != plan->lower_bound_bytes)
        printf("  network %" PRIu32 ": %.1f ms, %" PRIu32
               " states, peak %zu, arena %zu, bound %zu\n",
               index,
               ms,
               plan->states,
               plan->peak_bytes,
               plan->arena_bytes,
               plan->lower_bound_bytes);
    mn_plan_free(plan);
    mn_graph_free(deployed);
    mn_graph_free(graph);
}

/* Checks networks of all sizes against a bound, as a search does with its candidates. */
static void check_bounds(const request *r)
{
    uint32_t fitting = 0;
    uint32_t wrong = 0;
    double ms = 0;
    mn_random random = mn_random_make(r->seed, 0);
    for (uint32_t i = 0; i < r->bounded; i++) {
        mn_genotype g = random_genotype(
            &random, r->from + mn_random_below(&random, r->to - r->from + 1), r->width);
        mn_graph *graph = NULL;
        mn_graph *deployed = NULL;
        mn_plan *plan = NULL;
        mn_error err;
        bool fits = false;
        double start = now_ms();
        if (mn_genotype_lower(&g, &graph, &err) != MN_OK ||
            mn_deploy(graph, NULL, &deployed, NULL, &err) != MN_OK ||
            mn_plan_fits(deployed, &r->opts, SIZE_MAX, r->most_bytes, &fits, &err) != MN_OK)
            fail(&err);
        ms += now_ms() - start;
        fitting += fits;
        if (r->compare && mn_plan_create(deployed, &r->opts, &plan, &err) != MN_OK)
            fail(&err);
        wrong += plan != NULL && fits != (plan->total_bytes <= r->most_bytes);
        mn_plan_free(plan);
        mn_graph_free(deployed);
        mn_graph_free(graph);
    }
    printf("%" PRIu32 " candidates checked against %zu bytes in %.1f s (lowering and deploy pass "
           "included), %" PRIu32 " fit",
           r->bounded,
           r->most_bytes,
           ms / 1e3,
           fitting);
    if (r->compare)
        printf(", %" PRIu32 " verdicts differ from the plan", wrong);
    printf("\n");
}

static void plan_all(const request *r)
{
    printf("cells  networks  order proven  proven  over 100 ms  mean ms  worst ms  mean states  "
           "most states      arena      bound     greedy  gap %%  paper's metric\n");
    for (uint32_t cells = r->from; cells <= r->to; cells++) {
        mn_random random = mn_random_make(r->seed, cells);
        tally row = {0};
        for (uint32_t i = 0; i < r->count; i++) {
            mn_genotype g = random_genotype(&random, cells, r->width);
            plan_one(r, &g, &row, i);
        }
        printf("%5" PRIu32 "  %8" PRIu32 "  %12" PRIu32 "  %6" PRIu32 "  %11" PRIu32
               "  %7.2f  %8.1f  %11.0f  %11" PRIu32 "  %9.0f  %9.0f  %9.0f  %5.1f  %.2f to %.2f\n",
               cells,
               r->count,
               row.order_proven,
               row.proven,
               row.over_time,
               row.total_ms / r->count,
               row.worst_ms,
               (double)row.states / r->count,
               row.most_states,
               row.arena / r->count,
               row.bound / r->count,
               row.greedy / r->count,
               row.proven < r->count ? 100 * row.gap / (r->count - row.proven) : 0.0,
               row.paper_least,
               row.paper_most);
        fflush(stdout);
    }
}

/* The number that follows argument i, or the end of the program. */
static uint32_t number(int argc, char **argv, int *i)
{
    mn_error err;
    int64_t value = 0;
    const char *name = argv[*i];
    if (++*i >= argc) {
        fprintf(stderr, "plan_space: %s: expected a number\n", name);
        exit(2);
    }
    if (mn_integer_parse(name, argv[*i], 0, UINT32_MAX, &value, &err) != MN_OK)
        fail(&err);
    return (uint32_t)value;
}

int main(int argc, char **argv)
{
    request r = {.count = 1000, .seed = 1, .from = 1, .to = MN_MAX_CELLS, .width = 16};
    r.opts = mn_plan_opts_default();
    r.most_bytes = 1024 * 1024;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--count") == 0) {
            r.count = number(argc, argv, &i);
        } else if (strcmp(argv[i], "--seed") == 0) {
            r.seed = number(argc, argv, &i);
        } else if (strcmp(argv[i], "--states") == 0) {
            r.opts.max_states = number(argc, argv, &i);
        } else if (strcmp(argv[i], "--width") == 0) {
            r.width = number(argc, argv, &i);
        } else if (strcmp(argv[i], "--bounded") == 0) {
            r.bounded = number(argc, argv, &i);
        } else if (strcmp(argv[i], "--most") == 0) {
            r.most_bytes = number(argc, argv, &i);
        } else if (strcmp(argv[i], "--cells") == 0) {
            r.from = number(argc, argv, &i);
            r.to = number(argc, argv, &i);
        } else if (strcmp(argv[i], "--list") == 0) {
            r.list = true;
        } else if (strcmp(argv[i], "--compare") == 0) {
            r.compare = true;
        } else {
            fprintf(stderr, "plan_space: %s: see the head of bench/plan_space.c\n", argv[i]);
            return 2;
        }
    }
    if (r.from < 1 || r.to > MN_MAX_CELLS || r.from > r.to || r.count < 1) {
        fprintf(stderr, "plan_space: expected 1 to %d cells, at least one network\n", MN_MAX_CELLS);
        return 2;
    }
    if (r.bounded > 0)
        check_bounds(&r);
    else
        plan_all(&r);
    return 0;
}
