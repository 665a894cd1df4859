/*
 * Random streams: small, seeded, passed in. A stream is a value (32 bytes), never global, so the
 * same seed gives the same numbers whatever else runs.
 */
#ifndef MN_BASE_RANDOM_H
#define MN_BASE_RANDOM_H

#include <stdint.h>

/* xoshiro256** by Blackman and Vigna (public domain reference); seeded through splitmix64. */
typedef struct mn_random {
    uint64_t state[4];
} mn_random;

/* A stream of its own for (seed, stream); equal arguments give equal streams. */
mn_random mn_random_make(uint64_t seed, uint64_t stream);

/* Mixes a key into a seed (splitmix64 finaliser): how (study, genotype, rung) become one seed. */
uint64_t mn_random_mix(uint64_t seed, uint64_t key);

uint64_t mn_random_next(mn_random *random);

/* Uniform in [0, bound), bound > 0, without modulo bias (Lemire). */
uint32_t mn_random_below(mn_random *random, uint32_t bound);

/* Uniform in [0, 1) with 24 random bits. */
float mn_random_uniform(mn_random *random);

/* Standard normal (Box-Muller, one of the pair). */
float mn_random_normal(mn_random *random);

/* Beta(alpha, alpha) in [0, 1], for alpha > 0. Takes about 4^alpha tries: meant for alpha up to 4.
 */
double mn_random_beta(mn_random *random, double alpha);

/* Fisher-Yates. */
void mn_random_shuffle(mn_random *random, uint32_t *items, uint32_t count);

#endif
