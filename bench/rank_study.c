/*
 * How well a search ranks, from studies that exist.
 *
 *     rank_study [--seeds N] STUDY...       N = 0: the rules alone
 *
 * For every round of at least four trainings that has enough behind it to learn from: learns from
 * the rounds before, as the search did, and compares what is said of the round's networks, by a
 * controller or by the rule of size where that is better, with what their trainings showed. Prints
 * for each study, and for all rounds of all studies, the mean of Kendall's tau over rounds and
 * seeds, and beside it the mean of what cross-validation expected. A round trained what an earlier
 * ranking had chosen: tau is of the best few of some hundred. Of all rounds of at least four
 * trainings it prints the mean tau of the rule of size, and of what the rule would be without
 * effort: random search and evolution, which rank nothing, show what it is worth among all
 * networks. Accuracies count as they are, not at equal time.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rank/quality.h"
#include "search/options.h"
#include "search/ranker_learned.h"

enum { most_trained = 256, least_trained = 4, most_seeds = 1000 };

/* The trained networks of a round. */
typedef struct trained {
    uint32_t round, rounds; /* wanted; of the study */
    uint32_t count;
    mn_genotype genotypes[most_trained];
    mn__rankable networks[most_trained];
    double accuracy[most_trained];
} trained;

typedef struct sums {
    double tau, expected;
    uint32_t count, controllers; /* rankings; those by a controller */
    double rule_tau, plain_tau;
    uint32_t rounds; /* that the rules ranked */
} sums;

static mn_status collect(void *context, const mn_trained_row *row, mn_error *err)
{
    trained *t = context;
    const mn_genotype_row *g = &row->genotype;
    if (row->round >= t->rounds)
        t->rounds = row->round + 1;
    if (row->round != t->round || row->key.seed != 0 || t->count == most_trained)
        return MN_OK;
    t->networks[t->count] = (mn__rankable){.genotype = &t->genotypes[t->count],
                                           .needs = {.weights_bytes = g->weights_bytes,
                                                     .arena_bytes = g->arena_bytes,
                                                     .total_bytes = g->total_bytes,
                                                     .macs = g->macs}};
    t->accuracy[t->count] = row->val_accuracy;
    mn_genotype *genotype = &t->genotypes[t->count];
    mn_status status = mn_genotype_parse(g->json, strlen(g->json), genotype, err);
    if (status == MN_OK)
        status = mn__measure_effort(genotype, &t->networks[t->count].needs.effort, err);
    t->count += status == MN_OK;
    return status;
}

/* Both rules on the networks of a round. */
static mn_status compare_rules(const trained *t, sums *s, mn_error *err)
{
    double said[most_trained];
    double plain[most_trained];
    double rule_tau = 0.0;
    double plain_tau = 0.0;
    mn__ranker rule = mn__ranker_by_size();
    mn_status status = rule.rank(rule.context, t->networks, t->count, said, err);
    for (uint32_t i = 0; i < t->count; i++)
        plain[i] = log((double)t->networks[i].needs.macs + 1.0) +
                   log((double)t->networks[i].needs.weights_bytes + 1.0);
    if (status == MN_OK)
        status = mn__kendall_tau(said, t->accuracy, t->count, &rule_tau, err);
    if (status == MN_OK)
        status = mn__kendall_tau(plain, t->accuracy, t->count, &plain_tau, err);
    s->rule_tau += rule_tau;
    s->plain_tau += plain_tau;
    s->rounds++;
    return status;
}

static mn_status replay(mn__session *session, trained *t, sums *s, mn_error *err)
{
    mn__learned learned = {0};
    double said[most_trained];
    double tau = 0.0;
    mn_status status = mn__learned_make(session, t->round, &learned, err);
    double expected = learned.ranking.size_tau;
    if (status == MN_OK && learned.ranking.folds > 0) {
        mn__ranker ranker = mn__ranker_learned(&learned);
        status = ranker.rank(ranker.context, t->networks, t->count, said, err);
        if (status == MN_OK)
            status = mn__kendall_tau(said, t->accuracy, t->count, &tau, err);
        for (int kind = 0; kind < MN__RANK_KINDS; kind++)
            expected = fmax(expected, learned.ranking.tau[kind]);
        s->tau += tau;
        s->expected += expected;
        s->count++;
        s->controllers += learned.controller != NULL;
    }
    mn__learned_done(&learned);
    return status;
}

static void print(const char *what, const sums *s)
{
    printf("%s: %u rankings, %u by a controller", what, s->count, s->controllers);
    if (s->count > 0)
        printf(", tau %.3f, expected %.3f", s->tau / s->count, s->expected / s->count);
    if (s->rounds > 0)
        printf("; %u rounds, rule of size %.3f, without effort %.3f",
               s->rounds,
               s->rule_tau / s->rounds,
               s->plain_tau / s->rounds);
    printf("\n");
}

static mn_status run(const char *folder, uint32_t seeds, trained *t, sums *all, mn_error *err)
{
    mn_search_opts opts = mn_search_opts_default();
    mn__session session = {.opts = &opts, .data_fd = -1};
    sums s = {0};
    *t = (trained){.rounds = 1};
    mn_status status = mn_study_open(folder, NULL, &session.study, err);
    for (t->round = 0; status == MN_OK && t->round < t->rounds; t->round++) {
        t->count = 0;
        status = mn_study_visit_trained(session.study, 0, UINT32_MAX, collect, t, err);
        if (status == MN_OK && t->count >= least_trained)
            status = compare_rules(t, &s, err);
        for (uint32_t seed = 1; status == MN_OK && t->count >= least_trained && seed <= seeds;
             seed++) {
            opts.seed = seed;
            status = replay(&session, t, &s, err);
        }
    }
    mn_study_close(&session.study);
    if (status != MN_OK)
        return status;
    print(folder, &s);
    all->tau += s.tau;
    all->expected += s.expected;
    all->count += s.count;
    all->controllers += s.controllers;
    all->rule_tau += s.rule_tau;
    all->plain_tau += s.plain_tau;
    all->rounds += s.rounds;
    return MN_OK;
}

int main(int argc, char **argv)
{
    uint32_t seeds = 1;
    int first = 1;
    sums all = {0};
    trained *t = malloc(sizeof *t);
    if (argc > 2 && strcmp(argv[1], "--seeds") == 0) {
        seeds = (uint32_t)strtoul(argv[2], NULL, 10);
        first = 3;
    }
    if (first >= argc || seeds > most_seeds || t == NULL) {
        fprintf(stderr, "usage: rank_study [--seeds N] STUDY...\n");
        free(t);
        return 2;
    }
    for (int i = first; i < argc; i++) {
        mn_error err;
        if (run(argv[i], seeds, t, &all, &err) != MN_OK) {
            fprintf(stderr, "rank_study: %s\n", err.message);
            free(t);
            return 1;
        }
    }
    print("all", &all);
    free(t);
    return 0;
}
