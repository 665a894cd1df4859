/*
 * How well the controller ranks, on NAS-Bench-201.
 *
 *     rank_nb201 NB201.CSV [--table] [--search] [--all | --only NAME] [--draws N] [--seeds N]
 *                [--members N] [--hidden N] [--epochs N]
 *
 * --table: learns from random architectures and ranks all 15,625 by their accuracy (CIFAR-10,
 * test); means over the draws, which are the same for every ranker. --search: 40 random
 * architectures, then ten a round picked by the ranker, until one of the two best is trained; over
 * the seeds. Without either, both. Rankers: see rankers.c; --all runs those that are not usual too.
 * Seconds are of the processor. Rankers see codes, parameters and multiply-adds; accuracies of what
 * they have not trained they do not.
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/size.h"
#include "nb201_search.h"
#include "rank/quality.h"

enum { most_draws = 1000, most_seeds = 10000, most_trained = 3000, sizes = 4 };

static const uint32_t known_counts[sizes] = {78, 156, 469, 781};

typedef struct request {
    const nb201 *table;
    const nb201_ranker *only; /* NULL: the usual ones, or all */
    bool all, rank, search;
    uint32_t draws, seeds;
    mn__rank_opts opts;
} request;

/* Sums over the draws. */
typedef struct row {
    double tau, square, precision, gain, seconds;
} row;

static double now(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static bool wanted(const request *r, const nb201_ranker *ranker, bool usual)
{
    return r->only != NULL ? r->only == ranker : r->all || usual;
}

/* Lets a ranker learn from the draw's first `count` cells. */
static mn_status
rank_draw(const request *r, const nb201_ranker *ranker, uint32_t draw, uint32_t count, row *sums)
{
    mn_error err = {0};
    uint32_t *order = mn_calloc(nb201_count, sizeof *order);
    uint32_t *all = mn_calloc(nb201_count, sizeof *all);
    double *scores = mn_calloc(nb201_count, sizeof *scores);
    mn_random random = mn_random_make(1, draw);
    ranker_call call = {.table = r->table,
                        .known = order,
                        .count = count,
                        .asked = all,
                        .asked_count = nb201_count,
                        .opts = r->opts};
    double tau = 0.0, precision = 0.0, gain = 0.0;
    double start = now();
    mn_status status = MN_OK;
    if (order == NULL || all == NULL || scores == NULL)
        status = mn_error_set(&err, MN_ERR_NOMEM, "no room for a draw");
    for (uint32_t i = 0; status == MN_OK && i < nb201_count; i++)
        order[i] = all[i] = i;
    if (status == MN_OK)
        mn_random_shuffle(&random, order, nb201_count);
    call.opts.seed = draw;
    const double *truth = r->table->accuracy;
    if (status == MN_OK)
        status = ranker->rank(ranker, &call, scores, &err);
    sums->seconds += now() - start;
    if (status == MN_OK)
        status = mn__kendall_tau(scores, truth, nb201_count, &tau, &err);
    if (status == MN_OK)
        status = mn__average_precision(scores, truth, nb201_count, 100, &precision, &err);
    if (status == MN_OK)
        status = mn__ndcg(scores, truth, nb201_count, 100, &gain, &err);
    sums->tau += tau;
    sums->square += tau * tau;
    sums->precision += precision;
    sums->gain += gain;
    free(scores);
    free(all);
    free(order);
    if (status != MN_OK)
        fprintf(stderr, "rank_nb201: %s\n", err.message);
    return status;
}

static mn_status rank_all(const request *r)
{
    mn_status status = MN_OK;
    printf("Ranking all architectures, mean of %" PRIu32 " draws\n", r->draws);
    printf("%-11s %6s  %6s %6s  %6s %8s  %8s\n",
           "ranker",
           "known",
           "tau",
           "sd",
           "AP@100",
           "nDCG@100",
           "s a draw");
    for (int i = 0; i < ranker_count; i++)
        for (int k = 0; status == MN_OK && wanted(r, &rankers[i], rankers[i].ranks) && k < sizes;
             k++) {
            row sums = {0};
            for (uint32_t d = 0; status == MN_OK && d < r->draws; d++)
                status = rank_draw(r, &rankers[i], d, known_counts[k], &sums);
            double mean = sums.tau / r->draws;
            double variance = sums.square / r->draws - mean * mean;
            printf("%-11s %6" PRIu32 "  %6.3f %6.3f  %6.3f %8.3f  %8.1f\n",
                   rankers[i].name,
                   known_counts[k],
                   mean,
                   variance > 0.0 ? sqrt(variance) : 0.0,
                   sums.precision / r->draws,
                   sums.gain / r->draws,
                   sums.seconds / r->draws);
            (void)fflush(stdout);
        }
    return status;
}

static int smaller_first(const void *left, const void *right)
{
    uint32_t a = *(const uint32_t *)left;
    uint32_t b = *(const uint32_t *)right;
    return a < b ? -1 : a > b;
}

static void print_search(const char *name, uint32_t *trained, uint32_t count, double seconds)
{
    qsort(trained, count, sizeof *trained, smaller_first);
    uint32_t last = count - 1;
    printf("%-11s %6" PRIu32 " %6" PRIu32 " %6" PRIu32 "  %8.1f\n",
           name,
           trained[last / 2],
           trained[(last * 9 + 9) / 10],
           trained[last],
           seconds / count);
    (void)fflush(stdout);
}

static mn_status search_all(const request *r)
{
    mn_error err = {0};
    mn_status status = MN_OK;
    uint32_t *trained = mn_calloc(r->seeds, sizeof *trained);
    if (trained == NULL)
        return MN_ERR_NOMEM;
    printf("Trained until one of the best is found, %" PRIu32 " seeds, at most %d\n",
           r->seeds,
           most_trained);
    printf("%-11s %6s %6s %6s  %8s\n", "ranker", "median", "p90", "most", "s a seed");
    for (int i = 0; status == MN_OK && i < ranker_count; i++) {
        if (!wanted(r, &rankers[i], rankers[i].searches))
            continue;
        double start = now();
        for (uint32_t s = 0; status == MN_OK && s < r->seeds; s++)
            status =
                nb201_search(r->table, &rankers[i], &r->opts, s, most_trained, &trained[s], &err);
        if (status == MN_OK)
            print_search(rankers[i].name, trained, r->seeds, now() - start);
    }
    for (uint32_t s = 0; status == MN_OK && r->only == NULL && s < r->seeds; s++)
        trained[s] = nb201_evolve(r->table, s, most_trained);
    if (status == MN_OK && r->only == NULL)
        print_search("evolution", trained, r->seeds, 0.0);
    if (status != MN_OK)
        fprintf(stderr, "rank_nb201: %s\n", err.message);
    free(trained);
    return status;
}

static int usage(const char *what)
{
    fprintf(stderr, "rank_nb201: %s: see the head of bench/rank_nb201.c\n", what);
    return 2;
}

/* The number after `argument`; false when it takes none or has none in range. */
static bool take_number(request *r, const char *argument, const char *text)
{
    const struct {
        const char *name;
        uint32_t *value;
        uint32_t most;
    } rows[] = {{"--draws", &r->draws, most_draws},
                {"--seeds", &r->seeds, most_seeds},
                {"--members", &r->opts.members, 64},
                {"--hidden", &r->opts.hidden, 1024},
                {"--epochs", &r->opts.epochs, 100000}};
    int64_t number = 0;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (strcmp(argument, rows[i].name) == 0 && text != NULL &&
            mn_integer_parse(argument, text, 1, rows[i].most, &number, NULL) == MN_OK) {
            *rows[i].value = (uint32_t)number;
            return true;
        }
    return false;
}

int main(int argc, char **argv)
{
    mn_error err;
    nb201 *table = NULL;
    request r = {.draws = 10, .seeds = 100, .opts = mn__rank_opts_default()};
    for (int i = 2; i < argc; i++) {
        const char *next = i + 1 < argc ? argv[i + 1] : NULL;
        if (strcmp(argv[i], "--table") == 0)
            r.rank = true;
        else if (strcmp(argv[i], "--search") == 0)
            r.search = true;
        else if (strcmp(argv[i], "--all") == 0)
            r.all = true;
        else if (strcmp(argv[i], "--only") == 0 && next != NULL && ranker_find(next) != NULL)
            r.only = ranker_find(argv[++i]);
        else if (take_number(&r, argv[i], next))
            i++;
        else
            return usage(argv[i]);
    }
    if (argc < 2)
        return usage("no nb201.csv");
    if (nb201_read(argv[1], &table, &err) != MN_OK) {
        fprintf(stderr, "rank_nb201: %s\n", err.message);
        return 1;
    }
    r.table = table;
    mn_status status = MN_OK;
    if (r.rank || !r.search)
        status = rank_all(&r);
    if (status == MN_OK && (r.search || !r.rank))
        status = search_all(&r);
    free(table);
    return status == MN_OK ? 0 : 1;
}
