/*
 * The structure correlation controller: learns from the candidates that were trained which of the
 * others deserve it. Place: above encode.c, which makes sequences of genotypes; the controller
 * knows sequences of numbers only, so that it ranks architectures of other spaces too.
 *
 * How a round of the search calls it:
 *     set of all runs so far, by id: encoding, targets = gain over the parent (ranker_learned.c),
 *         weight bytes and arena bytes (smaller memory or larger, only the order matters)
 *     mn__controller_fit(trained)      chooses the kind, teaches the ensemble
 *     set of the candidates that keep the bound, by id: encoding; targets are not read
 *     mn__controller_predict(fits)     larger is better; equals by id; the first K are trained
 * In the score of the search par and int are exact bytes of the plan: what the controller says of
 * them is dropped, they only teach its features. Fewer than MN__RANK_LEAST runs: nothing to learn
 * from, the rule of search/ranker.h decides.
 *
 * Invariant: one thread, no clock; the same sets in the same order, options and seed give the same
 * scores.
 */
#ifndef MN_RANK_CONTROLLER_H
#define MN_RANK_CONTROLLER_H

#include "rank/scc.h"

#define MN__RANK_LEAST 2u

/* One architecture. The caller's; borrowed by both calls, not kept. */
typedef struct mn__rank_sample {
    uint32_t steps;                   /* T, 1 to MN__SCC_MAX_STEPS */
    const float *features;            /* (T,D): about -1 to 1, or one-hot */
    const float *globals;             /* (G): any scale */
    double targets[mn__rank_targets]; /* y_acc, y_par, y_int: any scale, finite; fit only */
} mn__rank_sample;

typedef struct mn__rank_set {
    uint32_t features; /* D, 1 to MN__SCC_MAX_WIDTH */
    uint32_t globals;  /* G, 0 to MN__SCC_MAX_WIDTH */
    uint32_t count;
    const mn__rank_sample *samples; /* (count) */
} mn__rank_set;

/* The ways to learn; name, whether there is a ranking GRU, whether y_acc is learnt by pairs. */
#define MN__RANK_KIND_LIST(X)                                                                      \
    X(MN__RANK_JOINT, "scc", true, false)            /* the paper's: ranking GRU, joint loss */    \
    X(MN__RANK_PAIRWISE, "pairwise", false, true)    /* encoder and head, pairs */                 \
    X(MN__RANK_REGRESSOR, "regressor", false, false) /* encoder and head, squared errors */

typedef enum mn__rank_kind {
#define MN__RANK_ENUM(name, text, company, pairwise) name,
    MN__RANK_KIND_LIST(MN__RANK_ENUM)
#undef MN__RANK_ENUM
        MN__RANK_KINDS,
    MN__RANK_AUTO = MN__RANK_KINDS /* the one that cross-validation finds best */
} mn__rank_kind;

typedef struct mn__rank_opts {
    mn__rank_kind kind;
    uint32_t hidden;  /* units of both GRUs, 1 to 1024; 32 */
    uint32_t head;    /* units of the head, 1 to 1024; 32 */
    uint32_t members; /* of the ensemble, 1 to 64; 5 */
    uint32_t epochs;  /* 1 to 100000; 100 */
    uint32_t window;  /* candidates judged together, 2 to 4096; 16 */
    uint32_t folds;   /* of the cross-validation, 2 to 20; 3 */
    double rate;      /* learning rate, 0 to 1; 0.01 */
    double l2;        /* 0 to 1; 1e-4 */
    double lambda;    /* weight of the accuracy in the loss, 0 to 1; 0.8 */
    uint64_t seed;
} mn__rank_opts;

typedef struct mn__rank_report {
    mn__rank_kind kind;         /* what the ensemble is made of */
    uint32_t folds;             /* 0: was not cross-validated */
    double tau[MN__RANK_KINDS]; /* mean Kendall tau-b of each kind over the folds */
} mn__rank_report;

typedef struct mn__controller mn__controller;

/* What ranks best for its time (docs/controller.md): kind AUTO. */
mn__rank_opts mn__rank_opts_default(void);

/* As in the paper: kind JOINT, 100 units, lambda 0.5; the rest as above. */
mn__rank_opts mn__rank_opts_paper(void);

/* "scc", "pairwise", "regressor", "auto". */
const char *mn__rank_kind_name(mn__rank_kind kind);

/*
 * Teaches an ensemble on all samples of `set`. Targets are used by their normal scores, so only
 * their order matters; globals are standardised. With MN__RANK_AUTO and fewer than four samples a
 * fold, nothing is cross-validated and the kind is MN__RANK_JOINT.
 * MN_ERR_ARG: an option or a size out of range, fewer than MN__RANK_LEAST samples, a number that is
 * not finite ("sample 3: target 0 is not finite"). MN_ERR_NOMEM. On failure *ret_controller is
 * untouched.
 */
mn_status mn__controller_fit(const mn__rank_set *set,
                             const mn__rank_opts *opts,
                             mn__controller **ret_controller,
                             mn_error *err);

/*
 * Writes a score for each sample of `set`, larger is better, none NaN: the mean over the members of
 * the predicted accuracy, in standard deviations of what was learnt from. `ret_spread` (or NULL):
 * the members' standard deviation. The ranking GRU reads windows of candidates in orders drawn from
 * the seed, one for each member.
 * MN_ERR_ARG: widths that differ from those that were learnt, a number that is not finite.
 */
mn_status mn__controller_predict(const mn__controller *controller,
                                 const mn__rank_set *set,
                                 double *ret_scores,
                                 double *ret_spread,
                                 mn_error *err);

const mn__rank_report *mn__controller_report(const mn__controller *controller);

void mn__controller_free(mn__controller *controller);

#endif
