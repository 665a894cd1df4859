/* Augmentation: applying against a plain pixel-by-pixel version, and the range of what is drawn. */
#include "test.h"

#include <limits.h>

#include "data/augment.h"

/* The definition, one output pixel at a time: cutout over flip over shift. */
static float plain_pixel(
    const mn__change *change, const mn__picture *picture, uint32_t c, uint32_t y, uint32_t x)
{
    const mn_shape *shape = &picture->shape;
    if (y >= change->cut_top && y < change->cut_bottom && x >= change->cut_left &&
        x < change->cut_right)
        return 0.0f;
    int64_t from_x = change->flip ? (int64_t)shape->w - 1 - x : x;
    from_x += change->shift_x;
    int64_t from_y = (int64_t)y + change->shift_y;
    if (from_x < 0 || from_x >= shape->w || from_y < 0 || from_y >= shape->h)
        return 0.0f;
    size_t at = ((size_t)from_y * shape->w + (size_t)from_x) * shape->c + c;
    float value = picture->type == MN_PIXEL_F32 ? ((const float *)picture->pixels)[at]
                                                : ((const uint8_t *)picture->pixels)[at];
    return (value - picture->preprocessing.mean) * picture->preprocessing.scale;
}

static void check(const mn__change *change, const mn__picture *picture)
{
    const mn_shape shape = picture->shape;
    size_t elements = (size_t)shape.h * shape.w * shape.c;
    float *actual = malloc(elements * sizeof *actual);
    memset(actual, 0xff, elements * sizeof *actual);
    mn__change_apply(change, picture, actual);
    size_t at = 0;
    for (uint32_t c = 0; c < shape.c; c++)
        for (uint32_t y = 0; y < shape.h; y++)
            for (uint32_t x = 0; x < shape.w; x++, at++) {
                float expected = plain_pixel(change, picture, c, y, x);
                if (!(actual[at] == expected))
                    fail_msg("pixel (%u,%u,%u): %g, expected %g",
                             c,
                             y,
                             x,
                             (double)actual[at],
                             (double)expected);
            }
    free(actual);
}

/* Every combination of shift, beyond the image too, with and without flip and cutout. */
static void test_apply(void **state)
{
    (void)state;
    const mn_shape shapes[] = {{1, 1, 1}, {1, 7, 2}, {6, 1, 1}, {4, 5, 3}};
    for (size_t s = 0; s < sizeof shapes / sizeof shapes[0]; s++) {
        uint8_t bytes[64];
        float floats[64];
        for (size_t i = 0; i < 64; i++) {
            bytes[i] = (uint8_t)(i * 37 + 1);
            floats[i] = (float)i * 0.37f + 0.01f;
        }
        mn__picture picture = {.shape = shapes[s], .preprocessing = {77.0f, 0.0125f}};
        for (int round = 0; round < 8; round++) {
            picture.type = (round & 1) != 0 ? MN_PIXEL_F32 : MN_PIXEL_U8;
            picture.pixels = (round & 1) != 0 ? (const void *)floats : bytes;
            mn__change change = {.flip = (round & 2) != 0};
            if ((round & 4) != 0) {
                change.cut_bottom = (shapes[s].h + 1) / 2;
                change.cut_left = shapes[s].w / 3;
                change.cut_right = shapes[s].w;
            }
            for (change.shift_y = -8; change.shift_y <= 8; change.shift_y++)
                for (change.shift_x = -8; change.shift_x <= 8; change.shift_x++)
                    check(&change, &picture);
        }
    }
}

/* Drawn changes are in range, reach both ends of it, and depend on the stream only. */
static void test_draw(void **state)
{
    (void)state;
    const mn_shape shape = {9, 6, 1};
    const mn_augmentation all = {.crop_padding = 2, .flip = MN_FLIP_RANDOM, .cutout = 3};
    uint32_t flips = 0;
    uint32_t shifts[5][5] = {{0}};
    uint32_t centres[9][6] = {{0}};
    const uint32_t rounds = 20000;
    for (uint32_t i = 0; i < rounds; i++) {
        mn_random random = mn_random_make(5, i);
        mn_random again = random;
        mn__change change = mn__change_draw(&all, shape, &random);
        mn__change same = mn__change_draw(&all, shape, &again);
        assert_memory_equal(&change.shift_y, &same.shift_y, 2 * sizeof(int32_t));
        assert_int_equal(change.flip, same.flip);
        assert_in_range(change.shift_y + 2, 0, 4);
        assert_in_range(change.shift_x + 2, 0, 4);
        shifts[change.shift_y + 2][change.shift_x + 2]++;
        flips += change.flip;
        assert_true(change.cut_top < change.cut_bottom && change.cut_bottom <= 9);
        assert_true(change.cut_left < change.cut_right && change.cut_right <= 6);
        /* Three wide around the centre unless the border cuts it. */
        uint32_t y = change.cut_top == 0 ? change.cut_bottom - 2 : change.cut_top + 1;
        uint32_t x = change.cut_left == 0 ? change.cut_right - 2 : change.cut_left + 1;
        assert_true(change.cut_bottom == (y + 2 > 9 ? 9 : y + 2));
        assert_true(change.cut_right == (x + 2 > 6 ? 6 : x + 2));
        centres[y][x]++;
    }
    assert_in_range(flips, rounds / 2 - 400, rounds / 2 + 400);
    for (uint32_t y = 0; y < 5; y++)
        for (uint32_t x = 0; x < 5; x++) /* 800 expected, deviation 28 */
            assert_in_range(shifts[y][x], 640, 960);
    for (uint32_t y = 0; y < 9; y++)
        for (uint32_t x = 0; x < 6; x++) /* 370 expected, deviation 19 */
            assert_in_range(centres[y][x], 260, 480);
}

static void test_draw_nothing(void **state)
{
    (void)state;
    const mn_augmentation none = {.flip = MN_FLIP_ALTERNATING}; /* is not drawn */
    mn_random random = mn_random_make(1, 1);
    mn_random before = random;
    mn__change change = mn__change_draw(&none, (mn_shape){4, 4, 1}, &random);
    assert_true(change.shift_y == 0 && change.shift_x == 0 && !change.flip);
    assert_int_equal(change.cut_bottom - change.cut_top, 0);
    assert_int_equal(change.cut_right - change.cut_left, 0);
    assert_memory_equal(&random, &before, sizeof random);
}

/* Padding and cutout of any size: one row stays one row, and nothing overflows. */
static void test_draw_extremes(void **state)
{
    (void)state;
    const mn_augmentation huge = {.crop_padding = UINT32_MAX, .cutout = UINT32_MAX};
    const mn_shape shapes[] = {{1, 1, 1}, {1, 9, 1}, {7, 2, 1}, {MN__SIDE_MAX, MN__SIDE_MAX, 1}};
    for (size_t s = 0; s < sizeof shapes / sizeof shapes[0]; s++) {
        mn_random random = mn_random_make(s, 0);
        for (int i = 0; i < 1000; i++) {
            mn__change change = mn__change_draw(&huge, shapes[s], &random);
            assert_true(llabs(change.shift_y) < shapes[s].h);
            assert_true(llabs(change.shift_x) < shapes[s].w);
            assert_int_equal(change.cut_top, 0);
            assert_int_equal(change.cut_bottom, shapes[s].h);
            assert_int_equal(change.cut_left, 0);
            assert_int_equal(change.cut_right, shapes[s].w);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_apply),
        cmocka_unit_test(test_draw),
        cmocka_unit_test(test_draw_nothing),
        cmocka_unit_test(test_draw_extremes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
