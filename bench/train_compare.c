/*
 * Runs all ways to train all networks, round by round. See train_compare.h.
 */
#include "train_compare.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/size.h"
#include "train_peers.h"
#include "train_report.h"
#include "train_workers.h"

static mn_status run_way(const mn_bench_plan *plan,
                         const mn_bench_peers *peers,
                         const mn_bench_report *report,
                         const mn_bench_way *way,
                         mn_bench_speed *ret_speed,
                         mn_error *err)
{
    mn_bench_run run = {.net = {report->net[0], '\0'},
                        .width = report->width,
                        .batch = plan->batch,
                        .steps = plan->steps,
                        .bf16 = way->bf16,
                        .processes = way->shape == MN_BENCH_MANY ? plan->threads : 1,
                        .threads = way->shape == MN_BENCH_ONE ? plan->threads : 1};
    switch (way->side) {
    case MN_BENCH_MEMNET:
        return mn_bench_workers_run(&run, ret_speed, err);
    case MN_BENCH_TORCH:
    case MN_BENCH_SHIPPED:
        return mn_bench_torch_run(peers, &run, way->side == MN_BENCH_TORCH, ret_speed, err);
    case MN_BENCH_PROTOTYPE:
        return mn_bench_prototype_run(peers, &run, ret_speed, err);
    }
    return mn_error_set(err, MN_ERR_INTERNAL, "side %d", (int)way->side);
}

/* One more rate; a way that fails is not tried again on this network. */
static void
score_way(const mn_bench_plan *plan, const mn_bench_peers *peers, mn_bench_report *report, size_t k)
{
    mn_bench_score *score = &report->scores[k];
    mn_bench_speed speed = {0};
    if (score->over)
        return;
    if (run_way(plan, peers, report, &mn_bench_ways[k], &speed, &score->why) != MN_OK) {
        score->over = true;
        return;
    }
    score->rates[score->count++] = speed.rate;
    score->parameters = speed.parameters;
}

static void measure(const mn_bench_plan *plan, const mn_bench_peers *peers, mn_bench_report *report)
{
    for (uint32_t round = 0; round < plan->rounds; round++)
        for (size_t k = 0; k < mn_bench_way_count; k++)
            score_way(plan, peers, report, k);
    mn_bench_report_details(plan, report);
    (void)fflush(stdout);
}

/* (networks * widths) reports; NULL when out of memory. */
static mn_bench_report *make_reports(const mn_bench_plan *plan, size_t *ret_count)
{
    size_t count = strlen(plan->nets) * plan->width_count;
    mn_bench_report *reports = mn_calloc(count, sizeof *reports);
    for (size_t i = 0; reports != NULL && i < count; i++) {
        mn_bench_report *r = &reports[i];
        r->net[0] = plan->nets[i % strlen(plan->nets)];
        r->width = plan->widths[i / strlen(plan->nets)];
        /* On one thread the three shapes are the same. */
        for (size_t k = 0; k < mn_bench_way_count; k++)
            r->scores[k].over = plan->threads == 1 && mn_bench_ways[k].shape != MN_BENCH_ONE;
    }
    *ret_count = count;
    return reports;
}

static void introduce(const mn_bench_plan *plan, const mn_bench_peers *peers)
{
    printf("%u threads, batch %u, %u rounds of %u steps. PyTorch and the prototype tell the median "
           "of\ntheir steps, memnet the mean over the time in which all of its processes train.\n",
           plan->threads,
           plan->batch,
           plan->rounds,
           plan->steps);
    if (peers->torch == NULL)
        printf("PyTorch: not here: %s\n", peers->no_torch.message);
    if (peers->prototype == NULL)
        printf("prototype: not here: %s\n", peers->no_prototype.message);
    (void)fflush(stdout);
}

/* What makes the comparison void. */
static mn_status judge(const mn_bench_report *report, mn_error *err)
{
    if (!mn_bench_report_agrees(report))
        return mn_error_set(err,
                            MN_ERR_MISMATCH,
                            "network %s, width %u: the parameters differ",
                            report->net,
                            report->width);
    for (size_t k = 0; k < mn_bench_way_count; k++) {
        const mn_error *why = &report->scores[k].why;
        bool excused = mn_bench_ways[k].bf16 && why->status == MN_ERR_UNSUPPORTED;
        if (mn_bench_ways[k].side == MN_BENCH_MEMNET && why->status != MN_OK && !excused)
            return mn_error_set(err,
                                MN_ERR_WORKER,
                                "network %s, width %u: %s",
                                report->net,
                                report->width,
                                why->message);
    }
    return MN_OK;
}

mn_status mn_bench_compare(const mn_bench_plan *plan, mn_error *err)
{
    mn_bench_peers peers;
    size_t count = 0;
    mn_bench_report *reports = make_reports(plan, &count);
    mn_status status = mn_bench_peers_init(&peers, plan->peers, err);
    if (reports == NULL)
        status = mn_error_set(err, MN_ERR_NOMEM, "out of memory");
    if (status != MN_OK)
        goto done;
    introduce(plan, &peers);
    for (size_t i = 0; i < count; i++)
        measure(plan, &peers, &reports[i]);
    for (size_t i = 0; i < count; i++)
        mn_bench_report_table(plan, &reports[i]);
    for (size_t i = 0; status == MN_OK && i < count; i++)
        status = judge(&reports[i], err);
done:
    mn_bench_peers_done(&peers);
    free(reports);
    return status;
}
