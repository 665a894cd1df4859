/*
 * Prints what the comparison of training speeds found. See train_report.h.
 */
#include "train_report.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/size.h"

const mn_bench_way mn_bench_ways[mn_bench_way_count] = {
    {MN_BENCH_MEMNET, false, MN_BENCH_ONE},
    {MN_BENCH_MEMNET, false, MN_BENCH_MANY},
    {MN_BENCH_MEMNET, false, MN_BENCH_ALONE},
    {MN_BENCH_MEMNET, true, MN_BENCH_ONE},
    {MN_BENCH_MEMNET, true, MN_BENCH_MANY},
    {MN_BENCH_MEMNET, true, MN_BENCH_ALONE},
    {MN_BENCH_TORCH, false, MN_BENCH_ONE},
    {MN_BENCH_TORCH, false, MN_BENCH_MANY},
    {MN_BENCH_TORCH, true, MN_BENCH_ONE},
    {MN_BENCH_TORCH, true, MN_BENCH_MANY},
    {MN_BENCH_SHIPPED, false, MN_BENCH_ONE},
    {MN_BENCH_SHIPPED, false, MN_BENCH_MANY},
    {MN_BENCH_PROTOTYPE, false, MN_BENCH_ONE},
    {MN_BENCH_PROTOTYPE, false, MN_BENCH_MANY},
    {MN_BENCH_PROTOTYPE, true, MN_BENCH_ONE},
    {MN_BENCH_PROTOTYPE, true, MN_BENCH_MANY},
};

enum { name_bytes = 64 };

typedef struct way_name {
    char text[name_bytes];
} way_name;

static const char *side_name(mn_bench_side side)
{
    switch (side) {
    case MN_BENCH_MEMNET:
        return "memnet";
    case MN_BENCH_TORCH:
        return "PyTorch tuned";
    case MN_BENCH_SHIPPED:
        return "PyTorch as shipped";
    case MN_BENCH_PROTOTYPE:
        return "prototype";
    }
    return "?";
}

/* "bf16, 2 processes of 1 thread" */
static way_name describe(const mn_bench_way *way, uint32_t threads)
{
    way_name name;
    uint32_t processes = way->shape == MN_BENCH_MANY ? threads : 1;
    uint32_t each = way->shape == MN_BENCH_ONE ? threads : 1;
    (void)snprintf(name.text,
                   sizeof name.text,
                   "%s, %" PRIu32 " process%s of %" PRIu32 " thread%s",
                   way->bf16 ? "bf16" : "float32",
                   processes,
                   processes == 1 ? "" : "es",
                   each,
                   each == 1 ? "" : "s");
    return name;
}

/* ---- all ways -------------------------------------------------------------------------------- */

static void print_way(const mn_bench_plan *plan, const mn_bench_way *way, const mn_bench_score *s)
{
    if (s->over && s->why.status == MN_OK)
        return; /* a shape that is another one's double on one thread */
    printf("  %-18s  %-32s", side_name(way->side), describe(way, plan->threads).text);
    if (s->count > 0)
        printf("  %7.0f  %.0f..%.0f", s->median, s->rates[0], s->rates[s->count - 1]);
    if (s->why.status == MN_ERR_UNSUPPORTED && way->side == MN_BENCH_MEMNET)
        printf("  %s: not here: %s", way->bf16 ? "bf16" : "float32", s->why.message);
    else if (s->why.status == MN_ERR_UNSUPPORTED)
        printf("  not here");
    else if (s->why.status != MN_OK)
        printf("  failed in round %" PRIu32 ": %s", s->count + 1, s->why.message);
    printf("\n");
}

static double
median_of(const mn_bench_report *r, mn_bench_side side, bool bf16, mn_bench_shape shape)
{
    for (size_t k = 0; k < mn_bench_way_count; k++) {
        const mn_bench_way *way = &mn_bench_ways[k];
        if (way->side == side && way->bf16 == bf16 && way->shape == shape)
            return r->scores[k].median;
    }
    return 0.0;
}

static void print_scaling(const mn_bench_plan *plan, const mn_bench_report *r, bool bf16)
{
    double alone = median_of(r, MN_BENCH_MEMNET, bf16, MN_BENCH_ALONE);
    double many = median_of(r, MN_BENCH_MEMNET, bf16, MN_BENCH_MANY);
    if (alone > 0.0 && many > 0.0)
        printf("  memnet %s: %" PRIu32 " processes are %.2f times one\n",
               bf16 ? "bf16" : "float32",
               plan->threads,
               many / alone);
}

/* The first number that a side told; 0 when it told none. */
static uint64_t parameters_of(const mn_bench_report *r, mn_bench_side side)
{
    for (size_t k = 0; k < mn_bench_way_count; k++)
        if (mn_bench_ways[k].side == side && r->scores[k].parameters > 0)
            return r->scores[k].parameters;
    return 0;
}

bool mn_bench_report_agrees(const mn_bench_report *report)
{
    uint64_t known = 0;
    for (size_t k = 0; k < mn_bench_way_count; k++) {
        uint64_t told = report->scores[k].parameters;
        if (told > 0 && known > 0 && told != known)
            return false;
        if (told > 0)
            known = told;
    }
    return true;
}

static void print_count(const char *what, uint64_t parameters, const char *after)
{
    if (parameters == 0)
        printf("%s unknown%s", what, after);
    else
        printf("%s %" PRIu64 "%s", what, parameters, after);
}

static void print_parameters(const mn_bench_report *r)
{
    uint64_t torch = parameters_of(r, MN_BENCH_TORCH);
    printf("  parameters: ");
    print_count("memnet", parameters_of(r, MN_BENCH_MEMNET), ", ");
    print_count("PyTorch", torch > 0 ? torch : parameters_of(r, MN_BENCH_SHIPPED), ", ");
    print_count("prototype", parameters_of(r, MN_BENCH_PROTOTYPE), "\n");
    if (!mn_bench_report_agrees(r))
        printf("  *** THE PARAMETERS DIFFER: these are not the same networks, and the figures are "
               "no comparison ***\n");
}

void mn_bench_report_details(const mn_bench_plan *plan, mn_bench_report *report)
{
    printf("\nnetwork %s, width %" PRIu32 ": images/s, median of %" PRIu32 " and least..most\n",
           report->net,
           report->width,
           plan->rounds);
    for (size_t k = 0; k < mn_bench_way_count; k++) {
        mn_bench_score *s = &report->scores[k];
        if (s->count > 0)
            s->median = mn_bench_median(s->rates, s->count);
        print_way(plan, &mn_bench_ways[k], s);
    }
    print_scaling(plan, report, false);
    print_scaling(plan, report, true);
    print_parameters(report);
}

/* ---- the table ------------------------------------------------------------------------------- */

/* The fastest way of a side that uses the whole machine; MN_NONE when none went well. */
static uint32_t best_of(const mn_bench_report *r, mn_bench_side side, bool float32, bool bf16)
{
    uint32_t best = MN_NONE;
    for (uint32_t k = 0; k < mn_bench_way_count; k++) {
        const mn_bench_way *way = &mn_bench_ways[k];
        if (way->side != side || way->shape == MN_BENCH_ALONE || !(way->bf16 ? bf16 : float32))
            continue;
        if (r->scores[k].count > 0 &&
            (best == MN_NONE || r->scores[k].median > r->scores[best].median))
            best = k;
    }
    return best;
}

static void
print_best(const mn_bench_plan *plan, const mn_bench_report *r, const char *what, uint32_t k)
{
    if (k == MN_NONE)
        printf("  %-34s      --\n", what);
    else
        printf("  %-34s %7.0f  %s\n",
               what,
               r->scores[k].median,
               describe(&mn_bench_ways[k], plan->threads).text);
}

static void print_ratio(const mn_bench_report *r, const char *what, uint32_t ours, uint32_t theirs)
{
    if (ours == MN_NONE || theirs == MN_NONE)
        printf("  %-34s      --\n", what);
    else
        printf("  %-34s %7.2f\n", what, r->scores[ours].median / r->scores[theirs].median);
}

void mn_bench_report_table(const mn_bench_plan *plan, const mn_bench_report *report)
{
    uint32_t ours = best_of(report, MN_BENCH_MEMNET, true, true);
    uint32_t ours_float32 = best_of(report, MN_BENCH_MEMNET, true, false);
    uint32_t ours_bf16 = best_of(report, MN_BENCH_MEMNET, false, true);
    uint32_t tuned = best_of(report, MN_BENCH_TORCH, true, true);
    uint32_t shipped = best_of(report, MN_BENCH_SHIPPED, true, true);
    uint32_t float32 = best_of(report, MN_BENCH_PROTOTYPE, true, false);
    uint32_t bf16 = best_of(report, MN_BENCH_PROTOTYPE, false, true);
    printf("\nTABLE network %s, width %" PRIu32 ", batch %" PRIu32 ": images/s\n",
           report->net,
           report->width,
           plan->batch);
    print_best(plan, report, "memnet", ours);
    print_best(plan, report, "PyTorch tuned", tuned);
    print_best(plan, report, "PyTorch as shipped", shipped);
    print_best(plan, report, "prototype float32", float32);
    print_best(plan, report, "prototype bf16", bf16);
    print_ratio(report, "memnet / PyTorch tuned", ours, tuned);
    print_ratio(report, "memnet / PyTorch as shipped", ours, shipped);
    print_ratio(report, "memnet / prototype, float32", ours_float32, float32);
    print_ratio(report, "memnet / prototype, bf16", ours_bf16, bf16);
    print_parameters(report);
}
