/*
 * The profile of a training step. See train_profile.h.
 */
#include "train_profile.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "peak.h"

enum { most_kinds = 32 };

typedef struct kind {
    const char *name;
    double seconds, flops, bytes; /* of one step */
} kind;

typedef struct table {
    kind kinds[most_kinds];
    uint32_t count;
    uint32_t steps;
    double seconds;
} table;

static void collect(void *context, const mn_step_cost *cost)
{
    table *t = context;
    uint32_t i = 0;
    while (i < t->count && strcmp(t->kinds[i].name, cost->kind) != 0)
        i++;
    if (i == most_kinds)
        return;
    if (i == t->count)
        t->kinds[t->count++] = (kind){.name = cost->kind};
    t->kinds[i].seconds += cost->seconds / t->steps;
    t->kinds[i].flops += cost->flops;
    t->kinds[i].bytes += cost->bytes;
    t->seconds += cost->seconds / t->steps;
}

static int by_seconds(const void *a, const void *b)
{
    const kind *x = a;
    const kind *y = b;
    int order = (x->seconds < y->seconds) - (x->seconds > y->seconds);
    return order != 0 ? order : strcmp(x->name, y->name);
}

static void print_kind(const kind *k, double total, mn_bench_peak peak)
{
    double arithmetic = k->flops / peak.flops;
    double traffic = k->bytes / peak.bytes;
    double least = arithmetic > traffic ? arithmetic : traffic;
    printf("%-26s %8.2f %5.1f %9.1f %7.1f  %s %5.1f\n",
           k->name,
           k->seconds * 1e3,
           100.0 * k->seconds / total,
           k->flops / k->seconds / 1e9,
           k->bytes / k->seconds / 1e9,
           arithmetic > traffic ? "arithmetic" : "memory    ",
           100.0 * least / k->seconds);
}

mn_status mn_bench_profile(mn_bench_subject *subject, uint32_t steps, bool bf16, mn_error *err)
{
    const mn_bench_peak peak = mn_bench_peak_measure(bf16);
    table t = {.steps = steps};
    mn_status status = MN_OK;
    mn_trainer_profile(subject->trainer);
    double start = mn_bench_now();
    for (uint32_t i = 0; i < steps && status == MN_OK; i++)
        status = mn_bench_subject_step(subject, NULL, err);
    double whole = (mn_bench_now() - start) / steps;
    if (status != MN_OK)
        return status;
    mn_trainer_visit_steps(subject->trainer, collect, &t);
    qsort(t.kinds, t.count, sizeof t.kinds[0], by_seconds);
    printf("one thread: at most %.0f GFLOP/s (kernels: %s), copies at most %.1f GB/s\n",
           peak.flops / 1e9,
           mn_trainer_kernels(subject->trainer),
           peak.bytes / 1e9);
    printf("%-26s %8s %5s %9s %7s  %s\n",
           "kind of step",
           "ms",
           "%",
           "GFLOP/s",
           "GB/s",
           "limited by, % of that limit");
    for (uint32_t i = 0; i < t.count; i++)
        if (t.kinds[i].seconds > 0.0)
            print_kind(&t.kinds[i], whole, peak);
    printf("%-26s %8.2f %5.1f\n",
           "optimiser, loss, copies",
           (whole - t.seconds) * 1e3,
           100.0 * (whole - t.seconds) / whole);
    printf("%-26s %8.2f %5.1f\n", "a step", whole * 1e3, 100.0);
    return MN_OK;
}
