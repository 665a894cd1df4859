/**
 * The search: from a data set and a memory bound to a trained network that keeps the bound.
 *
 * Rounds of generate, check against the bound, rank, train the best K through the rungs, score,
 * choose the next base (paper, "Loop"), in turn for each bound; then finalists are trained from
 * scratch and the winner is read once on the test set. Everything that is decided lies in the study
 * (memnet/study.h), so a search that was killed goes on from its last finished training.
 */
#ifndef MEMNET_SEARCH_H
#define MEMNET_SEARCH_H

#include "memnet/dataset.h"
#include "memnet/genotype.h"
#include "memnet/plan.h"
#include "memnet/train.h"

#ifdef __cplusplus
extern "C" {
#endif

/** What a network may need. Zero: no such limit. At least one of the first three must be set. */
typedef struct mn_bound {
    uint64_t total_bytes; /**< weights + arena */
    uint64_t ram_bytes;   /**< arena */
    uint64_t flash_bytes; /**< weights */
    uint64_t max_macs;    /**< multiply-adds of one inference */
} mn_bound;

typedef enum mn_preset {
    MN_PRESET_FAST, /**< Global-average-pool head, top K from the first round on. */
    MN_PRESET_PAPER /**< The paper's head; rounds 0 and 1 train every candidate. */
} mn_preset;

/** "fast" or "paper". */
MN_API const char *mn_preset_name(mn_preset preset);
MN_API mn_status mn_preset_parse(const char *text, mn_preset *ret_preset, mn_error *err);

/** Where the candidates of a round come from. Everything after that is the same for all: space,
 * bound, rungs, finals. */
typedef enum mn_strategy {
    MN_STRATEGY_AUGMENT_TRIM, /**< Neighbours of the base, ranked by what was learnt so far. */
    MN_STRATEGY_RANDOM,       /**< Random networks. */
    MN_STRATEGY_EVOLUTION     /**< Aging evolution: mutations of the best of random samples of the
                                   youngest networks (Real et al. 2019, arXiv 1802.01548). */
} mn_strategy;

/** "augment-trim", "random" or "evolution". */
MN_API const char *mn_strategy_name(mn_strategy strategy);
MN_API mn_status mn_strategy_parse(const char *text, mn_strategy *ret_strategy, mn_error *err);

/** What a search is doing; passed to the progress function. Strings are borrowed for the call. */
typedef struct mn_progress {
    const char *phase; /**< "continue" (a study that has been worked on before), "plan" (how the
                          time is shared), "round", "exhausted" (nothing new fits the bound),
                          "finals", "test" or "done" */
    uint32_t round;    /**< current round, from 0 */
    uint32_t jobs_done, jobs_total; /**< trainings of this round or of the finals */
    uint32_t fits;                  /**< new candidates of this round that keep the bound */
    uint32_t fresh;                 /**< candidates of this round that are new to the study */
    double final_accuracy;          /**< percent, validation: of the finals' training that ended */
    double best_accuracy;           /**< percent, validation; NaN before the first result */
    uint64_t best_bytes;            /**< total of that network */
    uint64_t bound_bytes;           /**< total_bytes, or ram_bytes + flash_bytes, of the bound that
                                         the round or the finals work for */
    uint32_t bound_count;           /**< of the search */
    int64_t search_ms;              /**< share of --time that rounds get */
    uint32_t epochs;                /**< of each training of the finals; 0: the weights that the
                                         rounds have made */
    uint32_t rung, rung_count;      /**< stage of a round's trainings, from 0, of how many */
    int64_t elapsed_ms;             /**< active time of the study */
    int64_t left_ms;                /**< of --time; negative when there is no time bound */
    bool landed;                    /**< A step worth a line of its own was reached. */
} mn_progress;

#define MN_MAX_BOUNDS 8

typedef struct mn_search_opts {
    mn_bound bounds[MN_MAX_BOUNDS]; /**< Each has a network of its own at the end; largest first.
                                       Several: totals only. */
    uint32_t bound_count;
    mn_precision precision; /**< Of the exported code, default MN_PRECISION_INT8: what the bound
                               counts. Candidates are compared as they train; finalists are
                               quantised, fine-tuned and judged in int8. */
    int64_t time_ms;        /**< Active time over all runs of the study; 0: by rounds. */
    uint32_t rounds;        /**< Rounds to search; 0: by time. Exactly one of the two is set. */
    mn_preset preset;
    mn_strategy strategy; /**< Default MN_STRATEGY_AUGMENT_TRIM. */
    double lambda;        /**< Weight of accuracy in the score, [0, 1], default 0.5. */
    uint32_t top_k;       /**< Candidates trained in a round, default 8. */
    uint32_t neighbours;  /**< Of the base, brought under the bound and ranked in a round of `fast`,
                             default 256. */
    uint32_t jobs;        /**< Worker processes, default: processors that the process may use, 64 at
                             most. Never in results. */
    uint64_t seed;        /**< Default 1. */
    uint32_t max_cells;   /**< C_max: the search stops growing there, default 13. */
    uint32_t finalists;   /**< Networks trained from scratch at the end, default 2. */
    uint32_t finalist_seeds;  /**< Trainings of each, default 1; under `time_ms` at least, up to 3
                                 when each gets 150 epochs. */
    uint32_t finalist_epochs; /**< Under `rounds`; under `time_ms` the time decides. Default 12. */
    uint32_t qat_epochs;  /**< int8: of a finalist's fine-tuning, default 3; at most a quarter of
                             those of its training. */
    uint32_t rungs;       /**< Stages of a round's trainings, default 2: at each the best third
                               (rounded down, one at least) goes on to the next, with three
                               times the images. */
    uint32_t rung_epochs; /**< Epochs of a candidate at a rung, default 3. */
    uint32_t rung_images; /**< Training images of a candidate at rung 0, default 12000; under
                             `time_ms` fewer, 2000 at least, where that leaves time for eight
                             rounds. */
    const char *worker_program; /**< Started as `PROGRAM worker --data-fd N`; borrowed. */
    void (*progress)(void *context, const mn_progress *progress); /**< NULL: none. */
    void *progress_context;
} mn_search_opts;

MN_API mn_search_opts mn_search_opts_default(void);

/**
 * Runs or continues the search of `study_folder` and ends with `study_folder/best` complete:
 * model.safetensors and architecture.json. With several bounds `best` is that of the largest, and
 * `best/<bytes>/` that of each.
 *
 * SIGXFSZ should be ignored: a write past a limit on file sizes is then an error, not a signal.
 *
 * @param dataset  Borrowed.
 * @retval MN_ERR_LIMIT     No network meets the bound: the message names the smallest total found.
 * @retval MN_ERR_MISMATCH  The study was made with other options or another data set.
 * @retval MN_ERR_WORKER    Workers cannot be started, or all trainings failed of a bound's first
 *                          round or of its finals.
 */
MN_API mn_status mn_search_run(const mn_search_opts *opts,
                               const mn_dataset *dataset,
                               const char *study_folder,
                               mn_error *err);

/**
 * The loop of a worker process: reads jobs as JSON lines from `in_fd`, writes one result line for
 * each to `out_fd`, until the input ends. Images come from the shared data set `data_fd`
 * (mn_dataset_share()).
 *
 * The process is a worker's from then on: the kernel kills it with its parent, and SIGXFSZ is
 * ignored.
 */
MN_API mn_status mn_worker_run(int in_fd, int out_fd, int data_fd, mn_error *err);

#ifdef __cplusplus
}
#endif
#endif
