/* Architectures that are none: random sequences whose quality is a sum of what their steps hold,
 * bent, and globals that tell a part of it. */
#ifndef MN_TEST_RANK_FIXTURE_H
#define MN_TEST_RANK_FIXTURE_H

#include <math.h>

#include "base/random.h"
#include "rank/controller.h"

enum { toy_most = 160, toy_steps = 4, toy_features = 5, toy_globals = 2 };

typedef struct toy {
    float features[toy_most][toy_steps * toy_features];
    float globals[toy_most][toy_globals];
    mn__rank_sample samples[toy_most];
} toy;

static inline void toy_make(toy *t, uint64_t seed)
{
    static const double worth[toy_features] = {0.0, 0.3, 1.0, 1.2, -0.8};
    mn_random random = mn_random_make(seed, 0);
    memset(t, 0, sizeof *t);
    for (uint32_t i = 0; i < toy_most; i++) {
        double sum = 0.0;
        uint32_t steps = 1 + mn_random_below(&random, toy_steps);
        for (uint32_t s = 0; s < steps; s++) {
            uint32_t which = mn_random_below(&random, toy_features);
            t->features[i][s * toy_features + which] = 1.0f;
            sum += worth[which];
        }
        t->globals[i][0] = 1e6f + 100.0f * (float)steps;
        t->globals[i][1] = 3.0f; /* tells nothing */
        t->samples[i] = (mn__rank_sample){.steps = steps,
                                          .features = t->features[i],
                                          .globals = t->globals[i],
                                          .targets = {100.0 - exp(3.0 - sum), sum, (double)steps}};
    }
}

static inline mn__rank_set toy_set(const toy *t, uint32_t from, uint32_t count)
{
    return (mn__rank_set){.features = toy_features,
                          .globals = toy_globals,
                          .count = count,
                          .samples = t->samples + from};
}

/* Small enough for a test. */
static inline mn__rank_opts toy_opts(mn__rank_kind kind)
{
    mn__rank_opts opts = mn__rank_opts_default();
    opts.kind = kind;
    opts.hidden = 8;
    opts.head = 8;
    opts.members = 2;
    opts.epochs = 60;
    return opts;
}

#endif
