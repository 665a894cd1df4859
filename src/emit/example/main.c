/*
 * Example of an exported network: classifies raw images.
 * SPDX-License-Identifier: 0BSD
 *
 * A file holds one or more images, each MODEL_INPUT_HEIGHT * MODEL_INPUT_WIDTH *
 * MODEL_INPUT_CHANNELS values in the order (row, column, channel): bytes 0 to 255, or with -f
 * floats of this machine. For every image one line is printed:
 *
 *     FILE[:INDEX] CLASS-INDEX CLASS-NAME SCORE
 *
 * where INDEX counts from 0 in files of more than one image and SCORE is the network's output for
 * that class (a logit). With -q a line is the class index alone.
 *
 * Arduino compiles every file of a library: there this one is empty.
 */
#if !defined(ARDUINO)

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "model.h"
#include "model_labels.h"

enum { PIXEL_VALUES = MODEL_INPUT_HEIGHT * MODEL_INPUT_WIDTH * MODEL_INPUT_CHANNELS };

typedef struct options {
    int quiet;
    int floats;
} options;

static unsigned char byte_image[PIXEL_VALUES];
static float float_image[PIXEL_VALUES];

#if defined(MEMNET_ARENA_EXTERNAL)
static void give_memory(void)
{
    static char memory[MODEL_ARENA_BYTES + MODEL_ARENA_ALIGN];
    const size_t beyond = (size_t)((uintptr_t)memory % MODEL_ARENA_ALIGN);
    memnet_set_arena(memory + (MODEL_ARENA_ALIGN - beyond));
}
#else
static void give_memory(void)
{
}
#endif

#if defined(MODEL_INT8)
static void feed_byte(int i, int pixel)
{
    memnet_input()[i] = memnet_from_pixel(pixel);
}

static void feed_float(int i, float pixel)
{
    memnet_input()[i] = memnet_from_pixel_value(pixel);
}

static float score(int i)
{
    return (float)(memnet_output()[i] - MODEL_OUTPUT_GRID_ZERO) * MODEL_OUTPUT_GRID_SCALE;
}
#else
static void feed_float(int i, float pixel)
{
    memnet_input()[i] = (pixel - MODEL_INPUT_MEAN) * MODEL_INPUT_SCALE;
}

static void feed_byte(int i, int pixel)
{
    feed_float(i, (float)pixel);
}

static float score(int i)
{
    return memnet_output()[i];
}
#endif

/* Reads one image into the network's input; 0 when the file ends early. */
static int load_image(FILE *file, const options *opts)
{
    size_t got = opts->floats ? fread(float_image, sizeof(float), PIXEL_VALUES, file)
                              : fread(byte_image, 1, PIXEL_VALUES, file);
    int i;
    for (i = 0; i < PIXEL_VALUES; i++) {
        if (opts->floats)
            feed_float(i, float_image[i]);
        else
            feed_byte(i, byte_image[i]);
    }
    return got == PIXEL_VALUES;
}

/* Of equal scores the first wins. */
static int best_class(void)
{
    int best = 0;
    int i;
    for (i = 1; i < MODEL_CLASSES; i++)
        if (memnet_output()[i] > memnet_output()[best])
            best = i;
    return best;
}

static void print_result(const char *path, long index, long count, const options *opts)
{
    int best = best_class();
    if (opts->quiet) {
        printf("%d\n", best);
        return;
    }
    printf("%s", path);
    if (count > 1)
        printf(":%ld", index);
    printf(" %d %s %.6g\n", best, memnet_class_name(best), (double)score(best));
}

/* Number of images in the file, or -1 with a line on stderr. */
static long count_images(FILE *file, const char *path, const options *opts)
{
    long image_bytes = (long)PIXEL_VALUES * (opts->floats ? (long)sizeof(float) : 1);
    long size = -1;
    if (fseek(file, 0, SEEK_END) == 0)
        size = ftell(file);
    if (size < 0 || fseek(file, 0, SEEK_SET) != 0) {
        fprintf(stderr, "classify: %s: cannot be read\n", path);
        return -1;
    }
    if (size == 0 || size % image_bytes != 0) {
        fprintf(stderr,
                "classify: %s: %ld bytes, expected a multiple of %ld (%d x %d x %d)\n",
                path,
                size,
                image_bytes,
                MODEL_INPUT_HEIGHT,
                MODEL_INPUT_WIDTH,
                MODEL_INPUT_CHANNELS);
        return -1;
    }
    return size / image_bytes;
}

/* 0 when the whole file was classified. */
static int classify(const char *path, const options *opts)
{
    long count;
    long index;
    FILE *file = fopen(path, "rb");
    if (!file) {
        fprintf(stderr, "classify: %s: cannot be opened\n", path);
        return 1;
    }
    count = count_images(file, path, opts);
    for (index = 0; index < count; index++) {
        if (!load_image(file, opts)) {
            fprintf(stderr, "classify: %s: cannot be read\n", path);
            count = -1;
            break;
        }
        memnet_invoke();
        print_result(path, index, count, opts);
    }
    fclose(file);
    return count < 0;
}

/* Reads the options; returns the index of the first file, or -1 when the usage must be shown. */
static int parse_options(int argc, char **argv, options *opts)
{
    int i;
    for (i = 1; i < argc && argv[i][0] == '-'; i++) {
        if (strcmp(argv[i], "-q") == 0)
            opts->quiet = 1;
        else if (strcmp(argv[i], "-f") == 0)
            opts->floats = 1;
        else
            return -1;
    }
    return i < argc ? i : -1;
}

int main(int argc, char **argv)
{
    options opts = {0, 0};
    int failed = 0;
    int i = parse_options(argc, argv, &opts);
    if (i < 0) {
        fprintf(stderr, "usage: classify [-q] [-f] FILE...\n");
        return 2;
    }
    give_memory();
    for (; i < argc; i++)
        failed |= classify(argv[i], &opts);
    return failed;
}

#endif
