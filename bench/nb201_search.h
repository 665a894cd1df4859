/*
 * Searches of NAS-Bench-201, played from its table: how many architectures are trained until the
 * best one is among them.
 */
#ifndef MN_BENCH_NB201_SEARCH_H
#define MN_BENCH_NB201_SEARCH_H

#include "rankers.h"

enum { nb201_first = 40, nb201_round = 10 };

/*
 * Trains 40 random cells, then in each round the ten best by score of those whose function was not
 * yet trained. Writes how many were trained up to one of the two best, `most` when it gave up
 * there.
 */
mn_status nb201_search(const nb201 *table,
                       const nb201_ranker *ranker,
                       const mn__rank_opts *opts,
                       uint64_t seed,
                       uint32_t most,
                       uint32_t *ret_trained,
                       mn_error *err);

/* Aging evolution (Real et al. 2019): a population of 40, parents by tournaments of ten, one edge
 * mutated; a cell that was trained before costs nothing the second time. */
uint32_t nb201_evolve(const nb201 *table, uint64_t seed, uint32_t most);

#endif
