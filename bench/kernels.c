/*
 * Times the int8 kernels on one thread: the layers of a ResNet-8 (MLPerf Tiny's shape: 32x32x3 in,
 * 78 thousand parameters, 12.5 million multiply-adds) and the whole inference, with each set of
 * instructions that this processor has. Prints the least of many runs: the machine may be shared;
 * of the whole inference the median, too. Weights are arbitrary; no kernel's time depends on them.
 * The instructions of the same kernels on Cortex-M are counted by target_kernels.py.
 *
 * Usage: kernels [RUNS [MODEL]]     default 300
 *
 * MODEL, a model of that shape (examples/resnet8.json, trained), is timed in ONNX Runtime as well,
 * in float32 on one thread: the median of as many runs as onnxruntime.py makes, and the ratio to
 * it.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "kernels/table.h"
#include "train_process.h"

enum {
    SIDE = 32,
    VALUE = SIDE * SIDE * 16,
    WEIGHTS = 3 * 3 * 64 * 64,
    OUTPUTS = 64,
    LAYERS = 14,
    MOST_SETS = 4
};

/* Three values in turns, as residual connections need; tables that every layer shares. */
typedef struct buffers {
    int8_t value[3][VALUE];
    int8_t weights[WEIGHTS];
    int32_t bias[OUTPUTS], multiplier[OUTPUTS];
    int8_t shift[OUTPUTS];
    int32_t scratch[1024];
} buffers;

typedef enum layer_kind { CONV, ADD, GLOBAL_POOL, FULLY_CONNECTED } layer_kind;

typedef struct layer {
    const char *name;
    layer_kind kind;
    int32_t side, in_c, out_c, kernel, stride;
    int32_t from, to; /* values */
} layer;

static const layer resnet8[LAYERS] = {
    {"conv 3x3 3-16", CONV, 32, 3, 16, 3, 1, 0, 1},
    {"conv 3x3 16-16", CONV, 32, 16, 16, 3, 1, 1, 0},
    {"conv 3x3 16-16", CONV, 32, 16, 16, 3, 1, 0, 2},
    {"add 16", ADD, 32, 16, 16, 1, 1, 1, 2},
    {"conv 3x3 16-32 /2", CONV, 32, 16, 32, 3, 2, 2, 0},
    {"conv 3x3 32-32", CONV, 16, 32, 32, 3, 1, 0, 1},
    {"conv 1x1 16-32 /2", CONV, 32, 16, 32, 1, 2, 2, 0},
    {"add 32", ADD, 16, 32, 32, 1, 1, 0, 1},
    {"conv 3x3 32-64 /2", CONV, 16, 32, 64, 3, 2, 1, 0},
    {"conv 3x3 64-64", CONV, 8, 64, 64, 3, 1, 0, 2},
    {"conv 1x1 32-64 /2", CONV, 16, 32, 64, 1, 2, 1, 0},
    {"add 64", ADD, 8, 64, 64, 1, 1, 0, 2},
    {"global pool 64", GLOBAL_POOL, 8, 64, 64, 1, 1, 2, 0},
    {"fully connected 10", FULLY_CONNECTED, 1, 64, 10, 1, 1, 0, 1},
};

static double now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return 1e6 * (double)t.tv_sec + 1e-3 * (double)t.tv_nsec;
}

static mn_s8_window window_of(const layer *l)
{
    int32_t pad = l->kernel / 2;
    mn_s8_window w = {
        .in_h = l->side,
        .in_w = l->side,
        .in_c = l->in_c,
        .in_stride = l->in_c,
        .out_h = l->side / l->stride,
        .out_w = l->side / l->stride,
        .out_c = l->out_c,
        .out_stride = l->out_c,
        .kernel_h = l->kernel,
        .kernel_w = l->kernel,
        .stride_h = l->stride,
        .stride_w = l->stride,
        .dilation_h = 1,
        .dilation_w = 1,
        .pad_top = l->stride == 1 ? pad : 0,
        .pad_left = l->stride == 1 ? pad : 0,
        .groups = 1,
        .in_zero = -128,
        .out_zero = -128,
        .low = -128,
        .high = 127,
    };
    return w;
}

static void run_layer(const mn__s8_kernels *set, const layer *l, buffers *b)
{
    mn_s8_filter filter = {b->weights, b->bias, b->multiplier, b->shift};
    mn_s8_window w = window_of(l);
    mn_s8_span span = {.pixels = l->side * l->side,
                       .channels = l->in_c,
                       .in_stride = l->in_c,
                       .in2_stride = l->in_c,
                       .out_stride = l->in_c,
                       .in_zero = -128,
                       .in2_zero = 3,
                       .out_zero = -128,
                       .low = -128,
                       .high = 127};
    switch (l->kind) {
    case CONV:
        set->conv(b->value[l->from], b->value[l->to], &filter, b->scratch, &w);
        break;
    case ADD:
        set->add(b->value[l->from],
                 b->value[l->to],
                 b->value[l->to],
                 &(mn_s8_add_factors){3000000, 2500000, 22},
                 &span);
        break;
    case GLOBAL_POOL:
        set->global_pool(
            b->value[l->from], b->value[l->to], &(mn_s8_factor){1500000000, 36}, &span);
        break;
    case FULLY_CONNECTED:
        set->fully_connected(b->value[l->from], b->value[l->to], &filter, l->out_c, &span);
        break;
    }
}

static long macs_of(const layer *l)
{
    long side = l->side / l->stride;
    if (l->kind == ADD || l->kind == GLOBAL_POOL)
        return 0;
    return side * side * l->out_c * l->kernel * l->kernel * l->in_c;
}

static int ascending(const void *a, const void *b)
{
    const double *x = a;
    const double *y = b;
    return (*x > *y) - (*x < *y);
}

/* least[LAYERS] is the whole inference. `whole` has room for all runs; its median is returned. */
static double
time_set(const mn__s8_kernels *set, buffers *b, int runs, double *whole, double least[LAYERS + 1])
{
    for (int i = 0; i <= LAYERS; i++)
        least[i] = 1e30;
    for (int run = 0; run < runs; run++) {
        double start = now_us();
        for (int i = 0; i < LAYERS; i++)
            run_layer(set, &resnet8[i], b);
        whole[run] = now_us() - start;
        least[LAYERS] = whole[run] < least[LAYERS] ? whole[run] : least[LAYERS];
        for (int i = 0; i < LAYERS; i++) {
            start = now_us();
            run_layer(set, &resnet8[i], b);
            double once = now_us() - start;
            least[i] = once < least[i] ? once : least[i];
        }
    }
    qsort(whole, (size_t)runs, sizeof *whole, ascending);
    return whole[runs / 2];
}

static void print_line(const char *name, long macs, const double *least, int sets, int line)
{
    printf("%-20s %9ld", name, macs);
    for (int s = 0; s < sets; s++) {
        double us = least[s * (LAYERS + 1) + line];
        printf("  %9.1f %5.1f", us, (double)macs / us * 1e-3);
    }
    printf("\n");
}

static buffers *make_buffers(void)
{
    buffers *b = calloc(1, sizeof *b);
    if (b == NULL)
        return NULL;
    for (int i = 0; i < VALUE; i++)
        b->value[0][i] = (int8_t)(i * 37 + i / 11);
    for (int i = 0; i < WEIGHTS; i++)
        b->weights[i] = (int8_t)((i * 29 + i / 13) % 255 - 127);
    for (int i = 0; i < OUTPUTS; i++) {
        b->multiplier[i] = 1500000000 + i;
        b->shift[i] = 40;
    }
    return b;
}

/* Prints how long ONNX Runtime takes for `model`, and the ratio of ours to it. */
static bool print_peer(const char *model, double ours_us)
{
    const char *const arguments[] = {
        "python3", MN_SOURCE_ROOT "/bench/onnxruntime.py", model, NULL};
    mn_bench_process peer = {0};
    mn_error err;
    char line[512] = "";
    if (mn_bench_process_start(&(mn_bench_call){.arguments = arguments}, &peer, &err) != MN_OK) {
        fprintf(stderr, "onnxruntime.py: %s\n", err.message);
        return false;
    }
    bool said = mn_bench_process_line(&peer, line, sizeof line);
    double us = strtod(line, NULL);
    if (!mn_bench_process_end(&peer) || !said || !(us > 0.0))
        return false;
    printf("ONNX Runtime, float32: %s\n", line + strspn(line, " "));
    printf("median of ours, int8, over its median: %.2f\n", ours_us / us);
    return true;
}

int main(int argc, char **argv)
{
    static double least[MOST_SETS * (LAYERS + 1)];
    double medians[MOST_SETS];
    int runs = argc > 1 ? (int)strtol(argv[1], NULL, 10) : 300;
    buffers *b = make_buffers();
    double *whole = runs > 0 ? calloc((size_t)runs, sizeof *whole) : NULL;
    long macs = 0;
    int sets = 0;
    bool good = b != NULL && whole != NULL;
    if (!good)
        goto done;
    printf("%-20s %9s", "us, and 10^9 macs/s", "macs");
    for (; sets < MOST_SETS && mn__s8_set(sets) != NULL; sets++) {
        medians[sets] = time_set(mn__s8_set(sets), b, runs, whole, least + sets * (LAYERS + 1));
        printf("  %15s", mn__s8_set(sets)->name);
    }
    printf("\n");
    for (int i = 0; i < LAYERS; i++) {
        print_line(resnet8[i].name, macs_of(&resnet8[i]), least, sets, i);
        macs += macs_of(&resnet8[i]);
    }
    print_line("whole inference", macs, least, sets, LAYERS);
    printf("%-30s", "median of it");
    for (int i = 0; i < sets; i++)
        printf("  %9.1f      ", medians[i]);
    printf("\n");
    qsort(medians, (size_t)sets, sizeof *medians, ascending);
    good = argc < 3 || print_peer(argv[2], medians[0]);
done:
    free(whole);
    free(b);
    return good ? 0 : 1;
}
