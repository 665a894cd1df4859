/* Runs the int8 kernels on random cases and prints a checksum of what each family writes. The cases
 * follow from integers alone, drawn one statement at a time, so that every machine must print the
 * same as the portable kernels on
 * a host, which tests/unit/test_s8_kernels.c holds against plain loops. */
#include "kernels/mn_s8.h"
#include "target.h"

enum { ROUNDS = 60, VALUE = 12288, WEIGHTS = 12288, OUTPUTS = 64, SCRATCH = 4096 };

static int8_t input[VALUE], second[VALUE], output[VALUE], weights[WEIGHTS], shift[OUTPUTS];
static int32_t bias[OUTPUTS], multiplier[OUTPUTS];
static int32_t scratch[SCRATCH / 4];
static uint32_t random_state;

static uint32_t next(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 17;
    random_state ^= random_state << 5;
    return random_state;
}

static int32_t between(int32_t low, int32_t high)
{
    return low + (int32_t)(next() % (uint32_t)(high - low + 1));
}

static void fill(int8_t *bytes, int32_t count, int32_t low)
{
    int32_t kind = between(0, 7);
    int32_t i;
    for (i = 0; i < count; i++)
        bytes[i] = (int8_t)(kind == 0 ? low : kind == 1 ? 127 : between(low, 127));
}

static uint32_t checksum(uint32_t sum)
{
    int32_t i;
    for (i = 0; i < VALUE; i++)
        sum = (sum ^ (uint8_t)output[i]) * 16777619u;
    return sum;
}

static mn_s8_filter random_filter(int32_t terms)
{
    mn_s8_filter filter;
    int32_t bits = 0;
    int32_t o;
    while (terms * 1000 >> bits > 127)
        bits++;
    fill(weights, WEIGHTS, -127);
    for (o = 0; o < OUTPUTS; o++) {
        bias[o] = between(-8000, 8000);
        multiplier[o] = 1073741824 + (int32_t)(next() & 0x3fffffffu);
        shift[o] = (int8_t)(between(0, 9) ? 31 + bits - between(0, 3) : between(1, 62));
    }
    filter.weights = weights;
    filter.bias = bias;
    filter.multiplier = multiplier;
    filter.shift = shift;
    return filter;
}

static void random_grids(int32_t *in_zero, int32_t *out_zero, int32_t *low, int32_t *high)
{
    *in_zero = between(0, 3) ? between(-128, 127) : -128;
    *out_zero = between(-128, 127);
    *low = between(0, 1) ? *out_zero : -128;
    *high = between(0, 3) ? 127 : between(*low, 127);
}

/* In place: stride 1 and an output of the input's shape. */
static mn_s8_window random_window(int32_t in_place)
{
    mn_s8_window w;
    w.in_h = between(1, 9);
    w.in_w = between(1, 9);
    w.kernel_h = between(1, 4);
    w.kernel_w = between(1, 4);
    w.dilation_h = between(1, 2);
    w.dilation_w = between(0, 3) ? 1 : 2;
    w.pad_top = between(0, (w.kernel_h - 1) * w.dilation_h);
    w.pad_left = between(0, (w.kernel_w - 1) * w.dilation_w);
    w.stride_h = in_place ? 1 : between(1, 2);
    w.stride_w = in_place ? 1 : between(1, 2);
    w.out_h = (w.in_h - 1) / w.stride_h + 1;
    w.out_w = (w.in_w - 1) / w.stride_w + 1;
    w.groups = 1;
    random_grids(&w.in_zero, &w.out_zero, &w.low, &w.high);
    return w;
}

static int32_t random_gap(void)
{
    return between(0, 1) ? between(1, 5) : 0;
}

static void random_channels(mn_s8_window *w, int32_t in_c, int32_t out_c)
{
    w->in_c = in_c;
    w->out_c = out_c;
    w->in_stride = in_c + random_gap();
    w->out_stride = out_c + random_gap();
}

static uint32_t conv(uint32_t sum)
{
    mn_s8_window w = random_window(0);
    mn_s8_filter filter;
    int32_t inputs = between(1, between(0, 4) ? 12 : 50);
    int32_t outputs = between(1, 12);
    w.groups = between(0, 2) ? 1 : 2;
    random_channels(&w, w.groups * inputs, w.groups * outputs);
    filter = random_filter(w.kernel_h * w.kernel_w * (w.in_c / w.groups));
    mn_s8_conv(input, output, &filter, scratch, &w);
    return checksum(sum);
}

static uint32_t depthwise(uint32_t sum)
{
    mn_s8_window w = random_window(0);
    mn_s8_filter filter;
    int32_t channels = between(1, 40);
    random_channels(&w, channels, channels);
    filter = random_filter(w.kernel_h * w.kernel_w);
    mn_s8_depthwise(input, output, &filter, scratch, &w);
    return checksum(sum);
}

static uint32_t in_place(uint32_t sum)
{
    mn_s8_window w = random_window(1);
    mn_s8_filter filter;
    int32_t channels = between(1, 40);
    random_channels(&w, channels, channels);
    w.out_stride = w.in_stride;
    filter = random_filter(w.kernel_h * w.kernel_w);
    if (mn_s8_depthwise_in_place_scratch_bytes(&w) <= SCRATCH) {
        fill(output, VALUE, -128);
        mn_s8_depthwise_in_place(output, &filter, scratch, &w);
    }
    return checksum(sum);
}

static uint32_t pools(uint32_t sum)
{
    mn_s8_window w = random_window(0);
    int32_t channels = between(1, 40);
    random_channels(&w, channels, channels);
    w.out_zero = w.in_zero;
    mn_s8_max_pool(input, output, &w);
    sum = checksum(sum);
    mn_s8_avg_pool(input, output, &w);
    return checksum(sum);
}

static uint32_t spans(uint32_t sum)
{
    mn_s8_span s;
    mn_s8_factor factor;
    mn_s8_add_factors factors;
    mn_s8_filter filter;
    s.pixels = between(1, 20);
    s.channels = between(1, 40);
    s.in_stride = s.channels + random_gap();
    s.in2_stride = s.channels + random_gap();
    s.out_stride = s.channels + random_gap();
    s.in2_zero = between(-128, 127);
    random_grids(&s.in_zero, &s.out_zero, &s.low, &s.high);
    factors.a = between(2097152, 4194304);
    factors.b = between(0, 4194304);
    factors.shift = between(0, 3) ? 22 : between(1, 31);
    factor.multiplier = 1073741824 + (int32_t)(next() & 0x3fffffffu);
    factor.shift = between(0, 3) ? between(30, 36) : between(1, 62);
    mn_s8_add(input, second, output, &factors, &s);
    sum = checksum(sum);
    mn_s8_copy(input, output, &factor, &s);
    sum = checksum(sum);
    mn_s8_copy(input, output, 0, &s);
    sum = checksum(sum);
    mn_s8_global_pool(input, output, &factor, &s);
    sum = checksum(sum);
    filter = random_filter(s.pixels * s.channels);
    mn_s8_fully_connected(input, output, &filter, between(1, WEIGHTS / 1000), &s);
    return checksum(sum);
}

static void print_hex(uint32_t number)
{
    char text[10];
    int32_t k;
    for (k = 0; k < 8; k++)
        text[k] = "0123456789abcdef"[number >> (28 - 4 * k) & 15u];
    text[8] = '\n';
    text[9] = '\0';
    target_print(text);
}

int target_main(void)
{
    static uint32_t (*const families[])(uint32_t) = {conv, depthwise, in_place, pools, spans};
    static const char *const names[] = {"conv ", "depthwise ", "in_place ", "pools ", "spans "};
    int32_t f, round;
    for (f = 0; f < 5; f++) {
        uint32_t sum = 2166136261u;
        random_state = 12345u + (uint32_t)f;
        for (round = 0; round < ROUNDS; round++) {
            fill(input, VALUE, -128);
            fill(second, VALUE, -128);
            sum = families[f](sum);
        }
        target_print(names[f]);
        print_hex(sum);
    }
    return 0;
}
