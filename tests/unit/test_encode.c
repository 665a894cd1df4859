/* How genotypes become sequences: cell by cell against what the genotype says. */
#include "test.h"

#include <math.h>

#include "genotype_samples.h"
#include "rank/encode.h"

static const sample_limits anything = {.side = MN_MAX_INPUT_SIDE,
                                       .channels = MN_MAX_INPUT_CHANNELS,
                                       .classes = MN_MAX_CLASSES,
                                       .width = MN_MAX_WIDTH,
                                       .blocks = MN_MAX_BLOCKS,
                                       .cells = MN_MAX_CELLS};

enum { most_steps = MN_MAX_BLOCKS * MN_MAX_CELLS };

typedef struct encoding {
    uint32_t steps;
    float rows[most_steps][mn__encode_features];
    float globals[mn__encode_globals];
} encoding;

static const mn__encode_sizes sizes = {.weights_bytes = 1000, .arena_bytes = 50, .macs = 1000000};

static void encode(const mn_genotype *g, encoding *e)
{
    mn_error err;
    memset(e, 0xee, sizeof *e);
    e->steps = mn__encode_steps(g);
    assert_ok(mn__encode(g, &sizes, e->rows[0], e->globals, &err), &err);
}

/* Where the only 1 of a one-hot part is; `width` when it is all zeros. */
static uint32_t hot(const float *part, uint32_t width)
{
    uint32_t at = width;
    for (uint32_t i = 0; i < width; i++) {
        if (part[i] == 0.0f)
            continue;
        assert_true(part[i] == 1.0f && at == width);
        at = i;
    }
    return at;
}

static void check_cell(const mn_cell *cell, const float *row)
{
    for (uint32_t side = 0; side < 2; side++) {
        uint32_t op = hot(row + mn__encode_op + side * MN_OP_COUNT, MN_OP_COUNT);
        assert_int_equal(hot(row + mn__encode_in + side * MN_MAX_CELLS, MN_MAX_CELLS),
                         cell->in[side]);
        assert_int_equal(op, cell->op[side] == MN_OP_IDENTITY ? MN_OP_COUNT : cell->op[side]);
    }
    assert_true(row[mn__encode_out] == (cell->out ? 1.0f : 0.0f));
    assert_int_equal(hot(row + mn__encode_combine, 2), cell->combine);
}

static void test_cells(void **state)
{
    (void)state;
    static encoding e;
    mn_random random = mn_random_make(4, 0);
    for (int round = 0; round < 200; round++) {
        mn_genotype g = sample_random(&random, &anything);
        mn_genotype canonical;
        mn_genotype_canonical(&g, &canonical);
        encode(&g, &e);
        uint32_t step = 0;
        for (uint32_t b = 0; b < g.block_count; b++)
            for (uint32_t k = 0; k < g.blocks[b].cell_count; k++)
                check_cell(&canonical.blocks[b].cells[k], e.rows[step++]);
        assert_int_equal(step, e.steps);
        for (uint32_t i = 0; i < e.steps; i++)
            for (uint32_t j = 0; j < mn__encode_features; j++)
                assert_true(e.rows[i][j] >= 0.0f && e.rows[i][j] <= 4.0f);
    }
}

/* Networks of one id are one to the controller. */
static void test_sides_are_equal(void **state)
{
    (void)state;
    static encoding a, b;
    mn_random random = mn_random_make(5, 0);
    for (int round = 0; round < 100; round++) {
        mn_genotype g = sample_random(&random, &anything);
        encode(&g, &a);
        for (uint32_t i = 0; i < g.block_count; i++)
            for (uint32_t k = 0; k < g.blocks[i].cell_count; k++) {
                mn_cell *cell = &g.blocks[i].cells[k];
                mn_cell kept = *cell;
                cell->in[0] = kept.in[1];
                cell->op[0] = kept.op[1];
                cell->in[1] = kept.in[0];
                cell->op[1] = kept.op[0];
            }
        encode(&g, &b);
        assert_memory_equal(&a, &b, sizeof a);
    }
}

/* One block: (input, input, sep 3x3, fac 1x7), (cell 1, input, avg, trimmed), (cell 1, cell 2). */
static void test_numbers(void **state)
{
    (void)state;
    static encoding e;
    mn_genotype g = sample_paper_block(16);
    g.blocks[0].stride = 2;
    g.blocks[0].cells[1].op[1] = MN_OP_IDENTITY;
    g.blocks[0].cells[0].out = false;
    encode(&g, &e);
    const float shortest[] = {1, 0, 1};
    const float longest[] = {1, 2, 3};
    for (uint32_t k = 0; k < 3; k++) {
        const float *numbers = e.rows[k] + mn__encode_numbers;
        assert_true(numbers[0] == 0.5f && numbers[1] == 1.0f && numbers[2] == 1.0f);
        assert_true(numbers[3] == ((float)k + 1.0f) / 15.0f);
        assert_true(numbers[4] == shortest[k] / 4.0f && numbers[5] == longest[k] / 4.0f);
    }
    assert_true(fabs((double)e.globals[0] - log(1001.0)) < 1e-5);
    assert_true(fabs((double)e.globals[1] - log(51.0)) < 1e-5);
    assert_true(fabs((double)e.globals[2] - log(1000001.0)) < 1e-5);
    const float rest[] = {3, 2, 1, 3, 0, 4};
    for (int i = 0; i < 6; i++)
        assert_true(e.globals[3 + i] == rest[i]);
    assert_true(e.globals[mn__encode_ops + MN_OP_MAX_POOL] == 2.0f);
    assert_true(e.globals[mn__encode_ops + MN_OP_IDENTITY] == 1.0f);
    assert_true(e.globals[mn__encode_ops + MN_OP_CONV_3X3] == 0.0f);
}

static void test_refusal(void **state)
{
    (void)state;
    mn_error err;
    float rows[3 * mn__encode_features] = {7.0f};
    float globals[mn__encode_globals] = {7.0f};
    mn_genotype g = sample_paper_block(16);
    g.blocks[0].cells[2].in[0] = 9;
    assert_error(mn__encode(&g, &sizes, rows, globals, &err), MN_ERR_ARG, &err, "cell 2: input 9");
    assert_true(rows[0] == 7.0f && globals[0] == 7.0f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cells),
        cmocka_unit_test(test_sides_are_equal),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_refusal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
