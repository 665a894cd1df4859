/*
 * Random streams. Invariant: integers only up to the last step, so that a stream is the same on
 * every machine.
 */
#include "base/random.h"

#include <math.h>

static uint64_t splitmix64(uint64_t *state)
{
    *state += UINT64_C(0x9e3779b97f4a7c15);
    uint64_t z = *state;
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

uint64_t mn_random_mix(uint64_t seed, uint64_t key)
{
    uint64_t state = seed;
    uint64_t mixed = splitmix64(&state) ^ key;
    return splitmix64(&mixed);
}

mn_random mn_random_make(uint64_t seed, uint64_t stream)
{
    mn_random random;
    uint64_t state = mn_random_mix(seed, stream);
    for (int i = 0; i < 4; i++)
        random.state[i] = splitmix64(&state);
    return random;
}

static uint64_t rotate_left(uint64_t x, int bits)
{
    return (x << bits) | (x >> (64 - bits));
}

uint64_t mn_random_next(mn_random *random)
{
    uint64_t *s = random->state;
    uint64_t result = rotate_left(s[1] * 5, 7) * 9;
    uint64_t t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate_left(s[3], 45);
    return result;
}

uint32_t mn_random_below(mn_random *random, uint32_t bound)
{
    uint64_t product = (mn_random_next(random) >> 32) * bound;
    uint32_t low = (uint32_t)product;
    if (low < bound) {
        uint32_t threshold = (uint32_t)(0u - bound) % bound;
        while (low < threshold) {
            product = (mn_random_next(random) >> 32) * bound;
            low = (uint32_t)product;
        }
    }
    return (uint32_t)(product >> 32);
}

float mn_random_uniform(mn_random *random)
{
    return (float)(mn_random_next(random) >> 40) * 0x1p-24f;
}

float mn_random_normal(mn_random *random)
{
    double u = ((double)(mn_random_next(random) >> 11) + 1.0) * 0x1p-53;
    double v = (double)(mn_random_next(random) >> 11) * 0x1p-53;
    return (float)(sqrt(-2.0 * log(u)) * cos(6.283185307179586 * v));
}

/* Joehnk 1964: of U^(1/alpha) and V^(1/alpha) the first one's share is Beta, given that their sum
 * is at most 1. In logarithms, since both powers vanish where alpha is small. */
double mn_random_beta(mn_random *random, double alpha)
{
    for (;;) {
        double x = log(((double)(mn_random_next(random) >> 11) + 1.0) * 0x1p-53) / alpha;
        double y = log(((double)(mn_random_next(random) >> 11) + 1.0) * 0x1p-53) / alpha;
        if (exp(x) + exp(y) <= 1.0)
            return 1.0 / (1.0 + exp(y - x));
    }
}

void mn_random_shuffle(mn_random *random, uint32_t *items, uint32_t count)
{
    for (uint32_t i = count; i > 1; i--) {
        uint32_t j = mn_random_below(random, i);
        uint32_t moved = items[i - 1];
        items[i - 1] = items[j];
        items[j] = moved;
    }
}
