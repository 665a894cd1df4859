/* The frame of a search against plain re-computation over all widths. */
#include "test.h"

#include "memnet/moves.h"
#include "search/measure.h"
#include "search/options.h"
#include "search/width.h"

/* The first two are for `fast` alone, where nothing fits otherwise. */
static const uint32_t widths[] = {2, 4, 4, 8, 12, 16};
static const uint32_t first_strides[] = {2, 2, 1, 1, 1, 1};
enum { width_count = sizeof widths / sizeof widths[0], usual = 2, round0_count = 98 };

static const mn_dataset dataset = {.shape = {8, 8, 2}, .class_count = 3};

static mn__needs needs[2][width_count][round0_count]; /* by preset; measured once */

static mn_genotype plain_frame(mn_preset preset, uint32_t size)
{
    const uint32_t w = widths[size];
    mn_genotype frame = {.input = dataset.shape,
                         .classes = dataset.class_count,
                         .block_count = 5,
                         .head = preset == MN_PRESET_PAPER ? MN_HEAD_MAXPOOL2 : MN_HEAD_GAP};
    const uint32_t block_widths[] = {w, w, 2 * w, 2 * w, 4 * w};
    const uint32_t strides[] = {first_strides[size], 2, 1, 2, 1};
    for (uint32_t b = 0; b < 5; b++) {
        frame.blocks[b].width = block_widths[b];
        frame.blocks[b].stride = strides[b];
    }
    return frame;
}

static int measure_all(void **state)
{
    (void)state;
    for (int preset = 0; preset < 2; preset++)
        for (uint32_t w = 0; w < width_count; w++) {
            mn_candidates *list = NULL;
            mn_genotype frame = plain_frame((mn_preset)preset, w);
            if (mn_moves_round0(&frame, &list, NULL) != MN_OK || list->count != round0_count)
                return -1;
            for (size_t i = 0; i < list->count; i++)
                if (mn__measure(&list->items[i].genotype,
                                MN_PRECISION_FLOAT32,
                                &needs[preset][w][i],
                                NULL) != MN_OK)
                    return -1;
            mn_candidates_free(list);
        }
    return 0;
}

static bool keeps(const mn_bound *bound, const mn__needs *n)
{
    if (bound->total_bytes > 0 && n->total_bytes > bound->total_bytes)
        return false;
    if (bound->ram_bytes > 0 && n->arena_bytes > bound->ram_bytes)
        return false;
    if (bound->flash_bytes > 0 && n->weights_bytes > bound->flash_bytes)
        return false;
    return bound->max_macs == 0 || n->macs <= bound->max_macs;
}

static uint32_t fitting_at(mn_preset preset, const mn_bound *bound, uint32_t size)
{
    uint32_t fitting = 0;
    for (uint32_t i = 0; i < round0_count; i++)
        fitting += keeps(bound, &needs[preset][size][i]);
    return fitting;
}

static uint32_t smallest_size(mn_preset preset)
{
    return preset == MN_PRESET_PAPER ? usual : 0;
}

enum { nothing = -1 };

/* The size that the rule asks for. */
static int plain_size(mn_preset preset, const mn_bound *bound)
{
    int chosen = usual;
    if (fitting_at(preset, bound, usual) == 0) {
        for (uint32_t size = usual; size > smallest_size(preset); size--)
            if (fitting_at(preset, bound, size - 1) > 0)
                return (int)size - 1;
        return nothing;
    }
    for (uint32_t size = usual; size < width_count; size++) {
        if (fitting_at(preset, bound, size) * 2 < round0_count)
            return chosen;
        chosen = (int)size;
    }
    fail_msg("the bound is too large for this test");
    return nothing;
}

/* The least total at a size. */
static uint64_t least_total(mn_preset preset, uint32_t size)
{
    uint64_t least = UINT64_MAX;
    for (uint32_t i = 0; i < round0_count; i++)
        if (needs[preset][size][i].total_bytes < least)
            least = needs[preset][size][i].total_bytes;
    return least;
}

/* Compares with the plain rule; the size, or that nothing fits. */
static int check(mn_preset preset, mn_bound bound)
{
    mn_error err;
    mn_genotype frame;
    mn_search_opts opts = mn_search_opts_default();
    opts.precision = MN_PRECISION_FLOAT32;
    opts.preset = preset;
    opts.bounds[0] = bound;
    int size = plain_size(preset, &bound);
    if (size == nothing) {
        char text[64] = "; weights";
        if (bound.total_bytes != 0)
            snprintf(text,
                     sizeof text,
                     "smallest found needs %llu bytes",
                     (unsigned long long)least_total(preset, smallest_size(preset)));
        assert_error(mn__choose_frame(&opts, &opts.bounds[0], &dataset, &frame, &err),
                     MN_ERR_LIMIT,
                     &err,
                     text);
        return nothing;
    }
    mn_genotype expected = plain_frame(preset, (uint32_t)size);
    assert_ok(mn__choose_frame(&opts, &opts.bounds[0], &dataset, &frame, &err), &err);
    assert_true(mn_genotype_equal(&frame, &expected));
    return size;
}

static void test_totals(void **state)
{
    (void)state;
    for (int preset = 0; preset < 2; preset++) {
        mn_preset p = (mn_preset)preset;
        uint64_t least = least_total(p, smallest_size(p));
        assert_int_equal(check(p, (mn_bound){.total_bytes = least - 1}), nothing);
        for (uint32_t size = smallest_size(p); size <= usual; size++)
            assert_int_equal(check(p, (mn_bound){.total_bytes = least_total(p, size)}), size);
        int last = usual;
        for (uint64_t total = 20000; total < 240000; total += 100000) {
            int size = check(p, (mn_bound){.total_bytes = total});
            assert_true(size >= last);
            last = size;
        }
        assert_true(last > usual + 1);
    }
}

/* The total of the network of round 0 at the second width with which half of them fit. */
static uint64_t half_total(mn_preset preset)
{
    const mn__needs *n = needs[preset][usual + 1];
    uint64_t half = UINT64_MAX;
    for (uint32_t i = 0; i < round0_count; i++) {
        uint32_t fitting = 0;
        for (uint32_t k = 0; k < round0_count; k++)
            fitting += n[k].total_bytes <= n[i].total_bytes;
        if (2 * fitting >= round0_count && n[i].total_bytes < half)
            half = n[i].total_bytes;
    }
    return half;
}

static void test_half_is_enough(void **state)
{
    (void)state;
    for (int preset = 0; preset < 2; preset++) {
        mn_preset p = (mn_preset)preset;
        uint64_t total = half_total(p);
        assert_int_equal(check(p, (mn_bound){.total_bytes = total}), usual + 1);
        assert_int_equal(check(p, (mn_bound){.total_bytes = total - 1}), usual);
    }
}

static void test_pairs_and_macs(void **state)
{
    (void)state;
    const mn_bound some[] = {{.ram_bytes = 9000, .flash_bytes = 120000},
                             {.ram_bytes = 2560, .flash_bytes = 200000},
                             {.ram_bytes = 200000, .flash_bytes = 8000},
                             {.total_bytes = 1 << 20, .max_macs = 100000}};
    const mn_bound none[] = {{.ram_bytes = 1, .flash_bytes = 20000},
                             {.ram_bytes = 6000, .flash_bytes = 1},
                             {.total_bytes = 1 << 20, .max_macs = 1}};
    for (size_t i = 0; i < sizeof some / sizeof some[0]; i++)
        assert_true(check(MN_PRESET_FAST, some[i]) >= 0);
    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++)
        assert_int_equal(check(MN_PRESET_FAST, none[i]), nothing);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_totals),
        cmocka_unit_test(test_half_is_enough),
        cmocka_unit_test(test_pairs_and_macs),
    };
    return cmocka_run_group_tests(tests, measure_all, NULL);
}
