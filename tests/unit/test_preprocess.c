/* Mean and scale against a plain long double computation, and what constant images give. */
#include "test.h"

#include <float.h>
#include <math.h>

#include "base/random.h"
#include "memnet/dataset.h"

enum { elements = 2 * 3 * 2, images = 50 };

static mn_dataset make_set(const void *pixels, mn_pixel_type type)
{
    return (mn_dataset){
        .shape = {2, 3, 2},
        .pixel_type = type,
        .train = {.count = images, .pixels = pixels},
    };
}

static long double pixel(const mn_dataset *dataset, size_t at)
{
    return dataset->pixel_type == MN_PIXEL_F32 ? ((const float *)dataset->train.pixels)[at]
                                               : ((const uint8_t *)dataset->train.pixels)[at];
}

static void
moments(const mn_dataset *dataset, const uint32_t *indices, uint32_t count, long double result[2])
{
    long double n = (long double)count * elements;
    result[0] = result[1] = 0;
    for (uint32_t i = 0; i < count; i++)
        for (size_t k = 0; k < elements; k++)
            result[0] += pixel(dataset, indices[i] * elements + k) / n;
    for (uint32_t i = 0; i < count; i++)
        for (size_t k = 0; k < elements; k++) {
            long double distance = pixel(dataset, indices[i] * elements + k) - result[0];
            result[1] += distance * distance / n;
        }
}

static void test_against_plain(void **state)
{
    (void)state;
    mn_random random = mn_random_make(3, 0);
    uint8_t bytes[images * elements];
    float floats[images * elements];
    for (int round = 0; round < 50; round++) {
        float offset = round % 5 == 0 ? 1000.0f : 0.0f;
        for (size_t i = 0; i < images * elements; i++) {
            bytes[i] = (uint8_t)mn_random_below(&random, 1 + (uint32_t)round * 5);
            floats[i] = offset + mn_random_normal(&random);
        }
        bytes[0] = 1; /* not constant */
        bytes[1] = 0;
        uint32_t indices[images];
        uint32_t count = 0;
        for (uint32_t i = 0; i < images; i++)
            if (i == 0 || mn_random_below(&random, 3) > 0)
                indices[count++] = i;
        const mn_dataset sets[2] = {make_set(bytes, MN_PIXEL_U8), make_set(floats, MN_PIXEL_F32)};
        for (int s = 0; s < 2; s++) {
            long double expected[2];
            moments(&sets[s], indices, count, expected);
            mn_preprocessing actual = mn_preprocessing_measure(&sets[s], indices, count);
            long double mean = s == 0 ? roundl(expected[0]) : expected[0];
            assert_true(fabsl((long double)actual.mean - mean) <= 1e-6L * (1 + fabsl(mean)));
            assert_true(fabsl((long double)actual.scale * sqrtl(expected[1]) - 1) < 1e-5L);
            if (s == 0)
                assert_true(actual.mean == rintf(actual.mean));
        }
    }
}

/* Images that are not listed do not count. */
static void test_listed_only(void **state)
{
    (void)state;
    uint8_t bytes[images * elements];
    memset(bytes, 255, sizeof bytes);
    memset(bytes + 7 * elements, 10, elements);
    memset(bytes + 9 * elements, 20, elements);
    const mn_dataset set = make_set(bytes, MN_PIXEL_U8);
    const uint32_t indices[2] = {7, 9};
    mn_preprocessing actual = mn_preprocessing_measure(&set, indices, 2);
    assert_true(actual.mean == 15.0f);
    assert_true(actual.scale == 0.2f);
}

static void test_constant(void **state)
{
    (void)state;
    uint8_t bytes[images * elements];
    float floats[images * elements];
    uint32_t indices[images];
    const float values[] = {0.0f, 0.1f, -1e30f, FLT_MAX};
    for (uint32_t i = 0; i < images; i++)
        indices[i] = i;
    memset(bytes, 253, sizeof bytes);
    const mn_dataset set = make_set(bytes, MN_PIXEL_U8);
    mn_preprocessing actual = mn_preprocessing_measure(&set, indices, images);
    assert_true(actual.mean == 253.0f);
    assert_true(actual.scale == 1.0f);
    for (size_t v = 0; v < sizeof values / sizeof values[0]; v++) {
        for (size_t i = 0; i < images * elements; i++)
            floats[i] = values[v];
        const mn_dataset float_set = make_set(floats, MN_PIXEL_F32);
        actual = mn_preprocessing_measure(&float_set, indices, images);
        assert_true(actual.mean == values[v]);
        assert_true(actual.scale == 1.0f);
    }
    actual = mn_preprocessing_measure(&set, indices, 0);
    assert_true(actual.mean == 0.0f && actual.scale == 1.0f);
}

/* The smallest and largest numbers still give a positive, finite scale. */
static void test_extremes(void **state)
{
    (void)state;
    float floats[images * elements] = {0};
    const uint32_t indices[1] = {0};
    const float ends[] = {FLT_TRUE_MIN, FLT_MIN, FLT_MAX, -FLT_MAX};
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        floats[0] = ends[i];
        floats[1] = i == 2 ? -FLT_MAX : 0.0f;
        const mn_dataset set = make_set(floats, MN_PIXEL_F32);
        mn_preprocessing actual = mn_preprocessing_measure(&set, indices, 1);
        assert_true(isfinite(actual.mean));
        assert_true(actual.scale > 0.0f && isfinite(actual.scale));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_against_plain),
        cmocka_unit_test(test_listed_only),
        cmocka_unit_test(test_constant),
        cmocka_unit_test(test_extremes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
