/* Widths that fit, against a walk over every width of every block and every factor of the table. */
#include "test.h"

#include <math.h>

#include "memnet/moves.h"
#include "search/fit.h"
#include "search/measure.h"
#include "search/options.h"

static mn_genotype sample(uint64_t seed)
{
    mn_error err;
    mn_space space = mn_space_default();
    mn_genotype result;
    mn_genotype frame = {.input = {9, 8, 3}, .classes = 4, .block_count = 3};
    static const uint32_t strides[] = {1, 2, 2};
    space.max_blocks = 4;
    space.max_cells = 3;
    for (uint32_t b = 0; b < 3; b++) {
        frame.blocks[b].stride = strides[b];
        frame.blocks[b].width = 8U << b;
    }
    assert_ok(mn_moves_random(&space, &frame, seed, &result, &err), &err);
    return result;
}

/* All widths by 2^(step/8), as docs/search.md says: down to a multiple of four where there was one,
 * at least that. */
static mn_genotype scaled(const mn_genotype *genotype, int step)
{
    mn_genotype result = *genotype;
    for (uint32_t b = 0; step != 0 && b <= result.block_count; b++) {
        uint32_t *width = b == 0 ? &result.stem.width : &result.blocks[b - 1].width;
        uint32_t grain = *width % 4 == 0 ? 4 : 1;
        uint32_t wanted = (uint32_t)floor(*width * pow(2.0, step / 8.0));
        wanted -= wanted % grain;
        if (*width > 0)
            *width = wanted < grain ? grain : wanted > MN_MAX_WIDTH ? MN_MAX_WIDTH : wanted;
    }
    return result;
}

static bool keeps(const mn_genotype *genotype, const mn_bound *bound)
{
    mn_error err;
    bool fits = false;
    assert_ok(mn__keeps(genotype, bound, MN_PRECISION_FLOAT32, &fits, &err), &err);
    return fits;
}

/* The child with one width narrower, a step at a time, that keeps the largest share of it; false
 * when there is none that keeps half. */
static bool narrowed(const mn_genotype *genotype, const mn_bound *bound, mn_genotype *ret_result)
{
    double most = 0.0;
    for (uint32_t b = 0; b <= genotype->block_count; b++) {
        mn_genotype tried = *genotype;
        uint32_t *width = b == 0 ? &tried.stem.width : &tried.blocks[b - 1].width;
        const uint32_t whole = *width;
        const uint32_t grain = whole % 4 == 0 ? 4 : 1;
        while (*width > grain && 2 * (*width - grain) >= whole) {
            *width -= grain;
            if (!keeps(&tried, bound))
                continue;
            if ((double)*width / whole >= most) {
                most = (double)*width / whole;
                *ret_result = tried;
            }
            break;
        }
    }
    return most > 0.0;
}

static uint32_t single; /* networks that one block brought under a bound */

/* Memory grows with the widths, so the plain answer is the largest factor before the first that
 * does not fit (from below). */
static void check(const mn_genotype *genotype, const mn_bound *bound, bool grow)
{
    mn_error err;
    mn_genotype result = *genotype;
    bool fits = keeps(genotype, bound);
    mn__needs n;
    assert_ok(mn__measure(genotype, MN_PRECISION_FLOAT32, &n, &err), &err);
    /* A brief plan may need more, never less. */
    assert_true(!fits || mn__bound_keeps(bound, n.weights_bytes, n.arena_bytes, n.macs));
    assert_ok(mn__fit_widths(&result, bound, MN_PRECISION_FLOAT32, grow, &err), &err);
    mn_genotype expected = *genotype;
    bool one = !fits && !grow && narrowed(genotype, bound, &expected);
    single += one;
    if (!one && (!fits || grow))
        for (int step = -24; step <= 24; step++) {
            mn_genotype tried = scaled(genotype, step);
            if (!keeps(&tried, bound))
                break;
            expected = tried;
        }
    assert_true(mn_genotype_equal(&result, &expected));
    if (fits && !grow)
        assert_true(mn_genotype_equal(&result, genotype));
}

static void test_against_every_width_and_factor(void **state)
{
    (void)state;
    uint32_t changed = 0;
    for (uint64_t seed = 1; seed <= 12; seed++) {
        mn_genotype genotype = sample(seed);
        mn__needs n;
        assert_int_equal(mn__measure(&genotype, MN_PRECISION_FLOAT32, &n, NULL), MN_OK);
        const mn_bound bounds[] = {{.total_bytes = n.total_bytes / 2},
                                   {.total_bytes = 3 * n.total_bytes},
                                   {.total_bytes = n.total_bytes},
                                   {.total_bytes = n.total_bytes - n.total_bytes / 20},
                                   {.ram_bytes = n.arena_bytes - 1},
                                   {.ram_bytes = n.arena_bytes, .flash_bytes = n.weights_bytes / 2},
                                   {.total_bytes = 1 << 26, .max_macs = n.macs / 2},
                                   {.total_bytes = 16}};
        for (size_t b = 0; b < sizeof bounds / sizeof bounds[0]; b++) {
            check(&genotype, &bounds[b], false);
            check(&genotype, &bounds[b], true);
            mn_genotype result = genotype;
            assert_int_equal(mn__fit_widths(&result, &bounds[b], MN_PRECISION_FLOAT32, false, NULL),
                             MN_OK);
            changed += !mn_genotype_equal(&result, &genotype);
        }
    }
    assert_true(changed > 12);
    assert_true(single > 6 && single < changed);
}

/* A head that sums more products than int8 kernels do: over any bound, and narrowed until it does
 * not. */
static void test_what_no_kernel_runs(void **state)
{
    (void)state;
    mn_error err;
    mn__needs needs;
    bool keeps = true;
    const mn_bound bound = {.total_bytes = UINT64_C(1) << 30};
    mn_genotype genotype = {
        .input = {32, 32, 3}, .classes = 10, .block_count = 1, .head = MN_HEAD_MAXPOOL2};
    genotype.blocks[0] = (mn_block){.stride = 1, .width = 256, .cell_count = 1};
    genotype.blocks[0].cells[0] =
        (mn_cell){.op = {MN_OP_CONV_1X1, MN_OP_CONV_1X1}, .combine = MN_COMBINE_ADD, .out = true};
    assert_ok(mn__keeps(&genotype, &bound, MN_PRECISION_INT8, &keeps, &err), &err);
    assert_false(keeps);
    assert_ok(mn__measure(&genotype, MN_PRECISION_INT8, &needs, &err), &err);
    assert_false(mn__bound_keeps(&bound, needs.weights_bytes, needs.arena_bytes, needs.macs));
    assert_ok(mn__keeps(&genotype, &bound, MN_PRECISION_FLOAT32, &keeps, &err), &err);
    assert_true(keeps);
    assert_ok(mn__fit_widths(&genotype, &bound, MN_PRECISION_INT8, false, &err), &err);
    assert_ok(mn__keeps(&genotype, &bound, MN_PRECISION_INT8, &keeps, &err), &err);
    assert_true(keeps);
    assert_in_range(genotype.blocks[0].width, 120, 129); /* 16 * 16 * 129 = 33,024 */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_against_every_width_and_factor),
        cmocka_unit_test(test_what_no_kernel_runs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
