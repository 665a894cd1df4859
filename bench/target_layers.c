/* Instructions of int8 layers on a machine without an operating system (target_kernels.py). Prints
 * one line a layer: name, multiply-adds, instructions, and what the inner loop cannot do without,
 * in thousandths of an instruction for each multiply-add: its loads, and the multiply-adds of the
 * path that was compiled. */
#include "kernels/mn_s8_inner.h"
#include "target.h"

enum { VALUE = 40960, WEIGHTS = 40960, OUTPUTS = 128, SCRATCH = 4096 };

static int8_t input[VALUE], second[VALUE / 4], output[VALUE], weights[WEIGHTS], shift[OUTPUTS];
static int32_t bias[OUTPUTS], multiplier[OUTPUTS];
static int32_t scratch[SCRATCH / 4];

/* Of a convolution's tile of two outputs at two pixels, of four outputs at one pixel, and of a
 * depthwise tap. */
typedef struct least {
    int32_t loads, products;
} least;
#if defined(MN_S8_DSP)
static const least tile = {188, 500}, direct = {313, 500}, lone = {500, 1000};
#elif defined(MN_S8_MVE)
static const least tile = {125, 125}, direct = {156, 125}, lone = {500, 250};
#else
static const least tile = {1000, 1000}, direct = {1250, 1000}, lone = {2000, 1000};
#endif

static void print_number(uint32_t number)
{
    char text[12];
    int32_t k = 11;
    text[k] = '\0';
    do
        text[--k] = (char)('0' + number % 10);
    while ((number /= 10) > 0);
    target_print(" ");
    target_print(text + k);
}

static void print_layer(const char *name, int32_t macs, uint32_t instructions, const least *least)
{
    target_print(name);
    print_number((uint32_t)macs);
    print_number(instructions);
    print_number((uint32_t)least->loads);
    print_number((uint32_t)least->products);
    target_print("\n");
}

static mn_s8_filter make_filter(void)
{
    mn_s8_filter filter;
    int32_t i;
    for (i = 0; i < VALUE; i++)
        input[i] = (int8_t)(i * 37 + i / 11);
    for (i = 0; i < VALUE / 4; i++)
        second[i] = (int8_t)(i * 53 + i / 7);
    for (i = 0; i < WEIGHTS; i++) {
        weights[i] = (int8_t)(i * 29 + i / 13);
        if (weights[i] == -128)
            weights[i] = 1;
    }
    for (i = 0; i < OUTPUTS; i++) {
        bias[i] = 100 * i;
        multiplier[i] = 1500000000 + i;
        shift[i] = 40;
    }
    filter.weights = weights;
    filter.bias = bias;
    filter.multiplier = multiplier;
    filter.shift = shift;
    return filter;
}

/* A square window with a border as wide as the kernel asks for. */
static mn_s8_window square(int32_t side, int32_t in_c, int32_t out_c, int32_t kernel, int32_t step)
{
    mn_s8_window w;
    w.in_h = w.in_w = side;
    w.in_c = w.in_stride = in_c;
    w.out_h = w.out_w = side / step;
    w.out_c = w.out_stride = out_c;
    w.kernel_h = w.kernel_w = kernel;
    w.stride_h = w.stride_w = step;
    w.dilation_h = w.dilation_w = 1;
    w.pad_top = w.pad_left = (kernel - 1) / 2;
    w.groups = 1;
    w.in_zero = -3;
    w.out_zero = -128;
    w.low = -128;
    w.high = 127;
    return w;
}

static void conv(const char *name, const mn_s8_filter *filter, mn_s8_window w)
{
    int32_t macs = w.out_h * w.out_w * w.out_c * w.kernel_h * w.kernel_w * w.in_c;
    uint32_t before = target_instructions();
    mn_s8_conv(input, output, filter, scratch, &w);
    print_layer(name,
                macs,
                target_instructions() - before,
                mn_s8_conv_scratch_bytes(&w) > 0 ? &tile : &direct);
}

static void depthwise(const char *name, const mn_s8_filter *filter, mn_s8_window w)
{
    int32_t macs = w.out_h * w.out_w * w.out_c * w.kernel_h * w.kernel_w;
    uint32_t before = target_instructions();
    mn_s8_depthwise(input, output, filter, scratch, &w);
    print_layer(name, macs, target_instructions() - before, &lone);
}

/* What is not a sum of products: an element counts as a multiply-add, of which it has none. */
static void others(const mn_s8_filter *filter)
{
    static const least none = {0, 0};
    mn_s8_span s = {256, 32, 32, 32, 32, -3, 5, 7, -128, 127};
    mn_s8_add_factors factors = {3000000, 2500000, 22};
    mn_s8_factor factor = {1500000000, 38};
    mn_s8_window w = square(16, 32, 32, 2, 2);
    uint32_t before = target_instructions();
    mn_s8_add(input, second, output, &factors, &s);
    print_layer("add_32@16x16", 8192, target_instructions() - before, &none);
    before = target_instructions();
    mn_s8_copy(input, output, &factor, &s);
    print_layer("rescale_32@16x16", 8192, target_instructions() - before, &none);
    before = target_instructions();
    mn_s8_copy(input, output, 0, &s);
    print_layer("copy_32@16x16", 8192, target_instructions() - before, &none);
    before = target_instructions();
    mn_s8_global_pool(input, output, &factor, &s);
    print_layer("global_pool_32@16x16", 8192, target_instructions() - before, &none);
    w.in_zero = w.out_zero;
    before = target_instructions();
    mn_s8_max_pool(input, output, &w);
    print_layer("max_pool_2x2_32@16x16", 8192, target_instructions() - before, &none);
    before = target_instructions();
    mn_s8_avg_pool(input, output, &w);
    print_layer("avg_pool_2x2_32@16x16", 8192, target_instructions() - before, &none);
    s.pixels = 64;
    before = target_instructions();
    mn_s8_fully_connected(input, output, filter, 10, &s);
    print_layer("fully_connected_2048_10", 20480, target_instructions() - before, &direct);
}

int target_main(void)
{
    mn_s8_filter filter = make_filter();
    conv("conv_3x3_16_16@16x16", &filter, square(16, 16, 16, 3, 1));
    conv("conv_1x1_32_32@16x16", &filter, square(16, 32, 32, 1, 1));
    conv("conv_3x3_3_16@32x32", &filter, square(32, 3, 16, 3, 1));
    conv("conv_3x3_16_32@16x16/2", &filter, square(16, 16, 32, 3, 2));
    conv("conv_3x3_64_64@8x8", &filter, square(8, 64, 64, 3, 1));
    depthwise("depthwise_3x3_32@16x16", &filter, square(16, 32, 32, 3, 1));
    depthwise("depthwise_3x3_32@16x16/2", &filter, square(16, 32, 32, 3, 2));
    others(&filter);
    return 0;
}
