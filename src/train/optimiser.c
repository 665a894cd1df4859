/*
 * Stochastic gradient descent with Nesterov momentum. Parameters fall into groups that differ in
 * rate and decay; this file alone knows the groups.
 */
#include "train/optimiser.h"

/* What a step is for a parameter of this role. Shifts do not decay, so that their own rate leaves
 * every product of rate and decay as it is. */
static mn__sgd
step_of(const mn__parameter *p, mn_tensor_role role, const mn_train_opts *opts, float rate)
{
    return (mn__sgd){
        .rate = role == MN_ROLE_BETA ? rate * opts->beta_rate : rate,
        .momentum = opts->momentum,
        .decay = p->decays ? opts->weight_decay : 0.0f,
    };
}

void mn__optimiser_step(mn__network *net, const mn_train_opts *opts, float rate, uint32_t frozen)
{
    for (uint32_t t = 0; t < mn_graph_tensor_count(net->graph); t++) {
        mn__parameter *p = &net->parameters[t];
        if (p->gradient == NULL || t == frozen)
            continue;
        mn__sgd step = step_of(p, mn_graph_tensor(net->graph, t)->role, opts, rate);
        net->opts.simd->sgd(&step, p->value, p->gradient, p->velocity, p->count);
    }
}
