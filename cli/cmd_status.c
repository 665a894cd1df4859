/*
 * memnet status: what a search has found so far. Works beside a search that is running.
 */
#include <math.h>
#include <stdio.h>

#include "cli/cli.h"
#include "cli/options.h"
#include "cli/study_view.h"
#include "cli/text.h"

static void print_best(const mn__best *best)
{
    printf("bound %s\n", mn__bytes_text(best->bound_bytes).text);
    if (!best->found) {
        printf("  no network yet\n");
        return;
    }
    printf("  best      %s, %s validation", best->id, mn__percent_text(best->val_accuracy).text);
    if (isnan(best->test_accuracy))
        printf(", test set not read yet\n");
    else
        printf(", %s test\n", mn__percent_text(best->test_accuracy).text);
    printf("  weights   %s\n", mn__bytes_text(best->weights_bytes).text);
    printf("  arena     %s\n", mn__bytes_text(best->arena_bytes).text);
    printf("  total     %s\n", mn__bytes_text(best->total_bytes).text);
}

static void print_view(const mn__study_view *view)
{
    const mn_study_counts *counts = &view->counts;
    for (uint32_t i = 0; i < view->bound_count; i++)
        print_best(&view->bests[i]);
    printf("\nrounds    %u, in %s\n", counts->rounds, mn__duration_text(view->active_ms).text);
    printf("networks  %s made: %s over the bound, %s seen before, %s left out by rank\n",
           mn__count_text(counts->generated).text,
           mn__count_text(counts->over_bound).text,
           mn__count_text(counts->duplicate).text,
           mn__count_text(counts->ranked).text);
    printf("trained   %s, and %s failed",
           mn__count_text(counts->trained).text,
           mn__count_text(counts->failed).text);
    if (counts->waiting > 0)
        printf("; %s chosen, not trained yet", mn__count_text(counts->waiting).text);
    printf("\n");
    if (view->front_count == 0)
        return;
    printf("\nfront: no trained network is both smaller and more accurate\n");
    printf("  %-16s  %10s  %s\n", "network", "validation", "total");
    for (uint32_t i = 0; i < view->front_count; i++)
        printf("  %-16s  %10s  %s\n",
               view->front[i].id,
               mn__percent_text(view->front[i].val_accuracy).text,
               mn__bytes_text(view->front[i].total_bytes).text);
}

typedef struct request {
    bool json;
} request;

static const mn__option options[] = {
    {.name = "json", .kind = MN__FLAG, .into = offsetof(request, json), .help = "print JSON"},
};

static const mn__usage usage = {
    .command = "status",
    .synopsis = "STUDY [options]",
    .about =
        "Shows what a search has found: the best network of its bound, how many networks were\n"
        "tried, and the front of accuracy against bytes. STUDY is the folder that was given to\n"
        "`memnet search --study`. The search may be running.\n",
    .options = options,
    .option_count = sizeof options / sizeof options[0],
    .operand = "STUDY",
    .operand_max = 1,
    .examples = "  memnet status study\n"
                "  memnet status study --json\n",
};

int mn__cmd_status(int argc, char **argv)
{
    request r = {.json = false};
    mn__study_view view;
    mn_error err;
    int first = 0;
    int code = 0;
    if (!mn__options_parse(&usage, argc, argv, &r, &first, &code))
        return code;
    if (mn__study_view_load(argv[first], &view, &err) != MN_OK)
        return mn__fail(&err);
    if (r.json)
        code = mn__print_json(mn__study_view_json(&view));
    else
        print_view(&view);
    mn__study_view_done(&view);
    return code;
}
