/*
 * What a kind of controller means: its network, how that learns, and how it is read.
 */
#ifndef MN_RANK_KINDS_H
#define MN_RANK_KINDS_H

#include "rank/controller.h"
#include "rank/learn.h"

/* `kind` < MN__RANK_KINDS; `opts` are checked. */
mn__scc mn__kind_net(const mn__rank_set *set, const mn__rank_opts *opts, mn__rank_kind kind);
mn__learn_opts mn__kind_learn_opts(const mn__rank_opts *opts, mn__rank_kind kind);

/* Writes to ret_y[i] the accuracy that a network sees in inputs[index[i]], for i < count: in
 * windows of work->most, in that order. */
void mn__scc_predict(const mn__scc *net,
                     const float *weights,
                     const mn__scc_input *inputs,
                     const uint32_t *index,
                     uint32_t count,
                     mn__scc_work *work,
                     double *ret_y);

#endif
