/*
 * Kinds of controller: rows of MN__RANK_KIND_LIST.
 */
#include "rank/kinds.h"

typedef struct kind_row {
    const char *name;
    bool company, pairwise;
} kind_row;

static const kind_row kinds[] = {
#define KIND_ROW(name, text, company, pairwise) [name] = {text, company, pairwise},
    MN__RANK_KIND_LIST(KIND_ROW)
#undef KIND_ROW
};

const char *mn__rank_kind_name(mn__rank_kind kind)
{
    return kind < MN__RANK_KINDS ? kinds[kind].name : "auto";
}

mn__scc mn__kind_net(const mn__rank_set *set, const mn__rank_opts *opts, mn__rank_kind kind)
{
    return mn__scc_make(set->features, set->globals, opts->hidden, opts->head, kinds[kind].company);
}

mn__learn_opts mn__kind_learn_opts(const mn__rank_opts *opts, mn__rank_kind kind)
{
    return (mn__learn_opts){.loss = {.lambda = opts->lambda, .pairwise = kinds[kind].pairwise},
                            .epochs = opts->epochs,
                            .window = opts->window,
                            .rate = opts->rate,
                            .l2 = opts->l2};
}

void mn__scc_predict(const mn__scc *net,
                     const float *weights,
                     const mn__scc_input *inputs,
                     const uint32_t *index,
                     uint32_t count,
                     mn__scc_work *work,
                     double *ret_y)
{
    for (uint32_t from = 0; from < count; from += work->most) {
        uint32_t n = count - from < work->most ? count - from : work->most;
        mn__scc_forward(net, weights, inputs, index + from, n, work);
        for (size_t i = 0; i < n; i++)
            ret_y[from + i] = (double)work->y[i * mn__rank_targets];
    }
}
