/**
 * The study: what a search remembers. A folder with `study.db` (SQLite), `weights/` and `best`.
 *
 * A row is written when its result exists and does not change afterwards (but a network that was
 * made and not trained passes to the round that trains it), so a search that was killed goes on by
 * replaying its (deterministic) decisions and finding its results here. Weights are written, synced
 * and renamed before the row that speaks of them.
 */
#ifndef MEMNET_STUDY_H
#define MEMNET_STUDY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "memnet/status.h"

#ifdef __cplusplus
extern "C" {
#endif

#define MN_STUDY_FORMAT 2
#define MN_STUDY_ID_BYTES 17 /**< 16 hex digits and the NUL, as mn_genotype_id() writes them. */
/** Rungs below are a round's, this one and those above are of finals. */
#define MN_STUDY_FINALS_RUNG 100u

typedef struct mn_study mn_study;

/** What a study is about: must agree when it is opened again. Strings are borrowed. */
typedef struct mn_study_setup {
    const char *options_json; /**< Every option that decides results (not time, not jobs). */
    const char *data_hash;    /**< 16 hex digits. */
    uint64_t seed;
    const uint64_t *bounds_bytes; /**< Largest first. */
    uint32_t bound_count;
} mn_study_setup;

/**
 * Opens the study in `folder`, or makes a new one (folder, parents, database, weights/).
 *
 * @param setup      NULL: only open an existing one (status, report).
 * @param ret_study  Closed with mn_study_close(); untouched on failure.
 * @retval MN_ERR_IO        The folder cannot be made, or (setup NULL) holds no study.
 * @retval MN_ERR_DB        Damaged or foreign database, another format version, a full disk.
 * @retval MN_ERR_MISMATCH  An option, the seed, the bounds or the data set differ: names the
 *                          option, its value in the study and the value now.
 * @retval MN_ERR_LIMIT     Another process is using the study (a lock that dies with it).
 */
MN_API mn_status mn_study_open(const char *folder,
                               const mn_study_setup *setup,
                               mn_study **ret_study,
                               mn_error *err);
/** Closes and sets *study to NULL. NULL and a pointer to NULL are fine. */
MN_API void mn_study_close(mn_study **study);

/** Borrowed strings, alive while the study is open. */
MN_API const char *mn_study_folder(const mn_study *study);
MN_API const char *mn_study_options(const mn_study *study);
MN_API const char *mn_study_data_hash(const mn_study *study);
MN_API uint64_t mn_study_seed(const mn_study *study);
MN_API uint32_t mn_study_bound_count(const mn_study *study);
MN_API uint64_t mn_study_bound(const mn_study *study, uint32_t index);

/** Active time over all runs of the study, in ms; setting it is durable. */
MN_API int64_t mn_study_active_ms(const mn_study *study);
MN_API mn_status mn_study_set_active_ms(mn_study *study, int64_t active_ms, mn_error *err);

/* ---- genotypes ------------------------------------------------------------------------------- */

/** How far a genotype came in its round: the one that chose it, or else the first that made it. */
typedef enum mn_genotype_state {
    MN_STATE_OVER_BOUND, /**< Planned, refused, never trained. */
    MN_STATE_RANKED,     /**< Fits, but not among the top K. */
    MN_STATE_CHOSEN      /**< To be trained. */
} mn_genotype_state;

/** One row of `genotypes`. Strings: borrowed by writers; of readers see each function. */
typedef struct mn_genotype_row {
    char id[MN_STUDY_ID_BYTES];
    char parent_id[MN_STUDY_ID_BYTES]; /**< "" for a network that was made from none. */
    const char *json;
    const char *move;     /**< "round0", "augment", ... */
    const char *map_json; /**< Parent-to-child layer map, or "[]". */
    uint32_t round;
    mn_genotype_state state;
    double rank_score; /**< What the ranker said; 0 when it was not asked. */
    uint64_t weights_bytes, arena_bytes, total_bytes, macs;
} mn_genotype_row;

/** Begins, ends or abandons a transaction around many writes. Not nestable. */
MN_API mn_status mn_study_begin(mn_study *study, mn_error *err);
MN_API mn_status mn_study_commit(mn_study *study, mn_error *err);
MN_API void mn_study_rollback(mn_study *study);

/** Inserts the row. A genotype of that id stays as it is, unless a later round has chosen it and no
 * earlier one had: then the row is that round's, in the form in which it is trained. */
MN_API mn_status mn_study_put_genotype(mn_study *study, const mn_genotype_row *row, mn_error *err);

/** Finds a genotype. *ret_found tells whether there is one; then `ret_row` is filled and its
 * strings live until the next call on the study. */
MN_API mn_status mn_study_get_genotype(
    mn_study *study, const char *id, mn_genotype_row *ret_row, bool *ret_found, mn_error *err);

/* ---- runs ------------------------------------------------------------------------------------ */

/** A training: (genotype, seed, rung). Rungs number the stages of a round from 0, and from
 * MN_STUDY_FINALS_RUNG the finals. */
typedef struct mn_run_key {
    char genotype_id[MN_STUDY_ID_BYTES];
    uint64_t seed;
    uint32_t rung;
} mn_run_key;

/** One row of `runs`: a finished training. `failed` runs have a reason and no accuracy. */
typedef struct mn_run_row {
    mn_run_key key;
    bool failed;
    const char *reason;  /**< "" unless failed. */
    double val_accuracy; /**< percent */
    double val_loss;
    const char *curve_json; /**< [[epoch, train loss, val accuracy], ...] */
    const char *weights;    /**< Path relative to the study's folder, "" when failed. */
    int64_t train_ms;       /**< A time: left out when studies are compared. */
} mn_run_row;

/** Inserts the row; a run that exists already is left as it is. Durable on return. */
MN_API mn_status mn_study_put_run(mn_study *study, const mn_run_row *row, mn_error *err);
/** As mn_study_get_genotype(). */
MN_API mn_status mn_study_get_run(
    mn_study *study, const mn_run_key *key, mn_run_row *ret_row, bool *ret_found, mn_error *err);

/**
 * The most accurate successful runs of a rung whose networks need at most `most_bytes` in total
 * (UINT64_MAX: all), best first, equals in order of genotype and seed.
 * @param ret_keys  Room for `limit` keys. @param ret_count  How many there are, at most `limit`.
 */
MN_API mn_status mn_study_top_runs(mn_study *study,
                                   uint32_t rung,
                                   uint64_t most_bytes,
                                   uint32_t limit,
                                   mn_run_key *ret_keys,
                                   uint32_t *ret_count,
                                   mn_error *err);

/** A successful run and its network. */
typedef struct mn_trained_row {
    mn_run_key key;
    uint32_t round; /**< That made the network. */
    double val_accuracy;
    mn_genotype_row genotype; /**< Strings live for the call. */
} mn_trained_row;

/**
 * Calls `visit` for every successful run of a rung whose network a round before `round` made, in
 * order of rounds, then ids, then seeds. Another status than MN_OK ends it and is returned. The
 * study must not be used during a call.
 */
MN_API mn_status mn_study_visit_trained(mn_study *study,
                                        uint32_t rung,
                                        uint32_t round,
                                        mn_status (*visit)(void *context,
                                                           const mn_trained_row *row,
                                                           mn_error *err),
                                        void *context,
                                        mn_error *err);

/* ---- rungs, rounds, events ------------------------------------------------------------------- */

/** One row of `rungs`: how runs of that rung were trained (a JSON object of training options). */
MN_API mn_status mn_study_put_rung(mn_study *study,
                                   uint32_t rung,
                                   const char *options_json,
                                   mn_error *err);
/** The options of a rung in fresh memory that the caller frees; *ret_options_json is NULL when
 * there is no such rung. */
MN_API mn_status mn_study_get_rung(mn_study *study,
                                   uint32_t rung,
                                   char **ret_options_json,
                                   mn_error *err);

/** One row of `rounds`, written when a round is decided. */
typedef struct mn_round_row {
    uint32_t round;
    char base_id[MN_STUDY_ID_BYTES]; /**< What the candidates were made from; "" in round 0. */
    char best_id[MN_STUDY_ID_BYTES]; /**< The base of the next round. */
    double best_accuracy;            /**< percent, validation */
    double best_score;
    uint32_t generated, over_bound, duplicate, ranked, trained, failed;
} mn_round_row;

MN_API mn_status mn_study_put_round(mn_study *study, const mn_round_row *row, mn_error *err);
/** *ret_found is false past the last decided round. */
MN_API mn_status mn_study_get_round(
    mn_study *study, uint32_t round, mn_round_row *ret_row, bool *ret_found, mn_error *err);

/** The chosen network of a bound: after each round the best so far, at the end the winner of the
 * finals. Replaces the bound's former row. */
typedef struct mn_best_row {
    uint64_t bound_bytes;
    mn_run_key run;
    double val_accuracy;  /**< percent; a mean where several seeds were trained */
    double test_accuracy; /**< percent; NaN until the test set was read (stored as NULL). */
} mn_best_row;

MN_API mn_status mn_study_put_best(mn_study *study, const mn_best_row *row, mn_error *err);
MN_API mn_status mn_study_get_best(
    mn_study *study, uint64_t bound_bytes, mn_best_row *ret_row, bool *ret_found, mn_error *err);

/**
 * Events are decisions that a clock made or things worth telling ("search-ended",
 * "finals", "test-read"): a kind, a number that orders them within the kind, and JSON. Inserting
 * one that exists leaves the old one.
 */
MN_API mn_status mn_study_put_event(
    mn_study *study, const char *kind, uint32_t number, const char *detail_json, mn_error *err);
/** *ret_detail_json is freed by the caller, NULL when there is no such event. */
MN_API mn_status mn_study_get_event(
    mn_study *study, const char *kind, uint32_t number, char **ret_detail_json, mn_error *err);

/* ---- reading it all -------------------------------------------------------------------------- */

/** Totals over the study, of networks, for status. generated = over_bound + duplicate + ranked +
 * trained + failed + waiting: chosen, but their first training is not over. */
typedef struct mn_study_counts {
    uint32_t rounds;
    uint64_t generated, over_bound, duplicate, ranked, trained, failed, waiting;
} mn_study_counts;

MN_API mn_status mn_study_count(mn_study *study, mn_study_counts *ret_counts, mn_error *err);

/** A trained network on the accuracy-memory front. */
typedef struct mn_front_row {
    char id[MN_STUDY_ID_BYTES];
    double val_accuracy;
    uint64_t total_bytes;
} mn_front_row;

/** The Pareto front of all finished runs (most accurate run of each genotype): ascending in bytes
 * and strictly ascending in accuracy. The caller frees *ret_rows with free(). */
MN_API mn_status mn_study_front(mn_study *study,
                                mn_front_row **ret_rows,
                                uint32_t *ret_count,
                                mn_error *err);

/** "weights/<id>-s<seed>-r<rung>.safetensors", relative to the folder; the caller frees; NULL when
 * out of memory. */
MN_API char *mn_study_weights_path(const mn_run_key *key);

#ifdef __cplusplus
}
#endif
#endif
