/*
 * Training speed: images per second of whole training steps (forward, loss, backward, update).
 *
 *   train_step --net A --width 32 --batch 64 --threads 2 [--steps 20] [--rounds 5] [--peers DIR]
 *   train_step ARCH.json ...
 *
 * With --peers the oneDNN prototype in DIR is built as its head comment says and measured in turn
 * with us, round by round, so that a machine whose speed drifts is equally unkind to both.
 * Prints medians.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/random.h"
#include "base/size.h"
#include "memnet/genotype.h"
#include "nets.h"
#include "train/trainer.h"

enum { max_rounds = 99, warm_up_steps = 3 };

typedef struct options {
    const char *net;
    const char *architecture;
    const char *peers;
    uint32_t width, batch, threads, steps, rounds;
} options;

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values, uint32_t count)
{
    qsort(values, count, sizeof *values, compare_doubles);
    return values[count / 2];
}

static void die(const mn_error *err)
{
    fprintf(stderr, "train_step: %s\n", err->message);
    exit(1);
}

typedef struct subject {
    mn_graph *graph;
    mn_trainer *trainer;
    mn_batch batch;
    float *images;
    uint16_t *labels;
    double build_ms;
} subject;

static void set_up(const options *o, subject *s)
{
    mn_error err;
    mn_genotype genotype;
    mn_status status = MN_OK;
    if (o->architecture == NULL) {
        status = mn_bench_net(o->net, o->width, &s->graph, &err);
    } else {
        status = mn_genotype_load(o->architecture, &genotype, &err);
        if (status == MN_OK)
            status = mn_genotype_lower(&genotype, &s->graph, &err);
    }
    if (status != MN_OK)
        die(&err);
    mn_trainer_setup setup = {.graph = s->graph, .opts = mn_train_opts_default()};
    setup.preprocessing = (mn_preprocessing){.scale = 1.0f};
    setup.opts.batch = o->batch;
    setup.opts.threads = o->threads;
    double start = seconds();
    if (mn_trainer_create(&setup, &s->trainer, &err) != MN_OK)
        die(&err);
    s->build_ms = (seconds() - start) * 1e3;
    size_t floats = mn_shape_elements(mn_graph_node(s->graph, 0)->shape) * o->batch;
    uint32_t classes = mn_graph_node(s->graph, mn_graph_output(s->graph, 0))->shape.c;
    mn_random random = mn_random_make(1, 1);
    s->images = aligned_alloc(64, (floats * sizeof(float) + 63) / 64 * 64);
    s->labels = mn_calloc(o->batch, sizeof *s->labels);
    if (s->images == NULL || s->labels == NULL)
        exit(1);
    for (size_t i = 0; i < floats; i++)
        s->images[i] = mn_random_normal(&random);
    for (uint32_t i = 0; i < o->batch; i++)
        s->labels[i] = (uint16_t)mn_random_below(&random, classes);
    s->batch = (mn_batch){.count = o->batch, .images = s->images, .labels = s->labels};
}

/* Median images per second of `steps` steps. */
static double measure(const options *o, subject *s)
{
    mn_error err;
    double loss = 0.0;
    double *times = mn_calloc(o->steps, sizeof *times);
    if (times == NULL)
        exit(1);
    for (uint32_t i = 0; i < o->steps + warm_up_steps; i++) {
        double start = seconds();
        if (mn__trainer_step(s->trainer, &s->batch, 0.01f, &loss, &err) != MN_OK)
            die(&err);
        if (i >= warm_up_steps)
            times[i - warm_up_steps] = seconds() - start;
    }
    double rate = o->batch / median(times, o->steps);
    free(times);
    return rate;
}

/* ---- the prototype ------------------------------------------------------------------------------
 */

static void build_prototype(const char *folder, const char *program)
{
    char command[1024];
    snprintf(command,
             sizeof command,
             "gcc -O3 -march=native -ffast-math -mprefer-vector-width=512 -fopenmp -std=gnu11 -w "
             "'%s/onednn_step.c' -o '%s' -ldnnl -lm",
             folder,
             program);
    if (system(command) != 0) {
        fprintf(stderr, "train_step: could not build %s/onednn_step.c\n", folder);
        exit(1);
    }
}

/* Runs the prototype and reads "... N img/s ..." and "params=N" from its line. */
static double
measure_prototype(const options *o, const char *program, unsigned long *ret_parameters)
{
    char command[1024];
    char line[1024] = "";
    snprintf(command,
             sizeof command,
             "OMP_NUM_THREADS=%u CUSTOM=1 '%s' %s %u %u f32 %u",
             o->threads,
             program,
             o->net,
             o->width,
             o->batch,
             o->steps);
    FILE *out = popen(command, "r");
    if (out == NULL || fgets(line, sizeof line, out) == NULL)
        line[0] = '\0';
    if (out != NULL)
        pclose(out);
    const char *rate = strstr(line, " img/s");
    const char *parameters = strstr(line, "params=");
    if (rate == NULL || parameters == NULL) {
        fprintf(stderr, "train_step: the prototype printed '%s'\n", line);
        exit(1);
    }
    while (rate > line && rate[-1] != ' ')
        rate--;
    *ret_parameters = strtoul(parameters + strlen("params="), NULL, 10);
    return strtod(rate, NULL);
}

static void compare(const options *o, subject *s)
{
    double ours[max_rounds];
    double theirs[max_rounds];
    unsigned long parameters = 0;
    char program[] = "/tmp/memnet-prototype-XXXXXX";
    int fd = mkstemp(program);
    if (fd < 0)
        exit(1);
    close(fd);
    build_prototype(o->peers, program);
    for (uint32_t r = 0; r < o->rounds; r++) {
        ours[r] = measure(o, s);
        theirs[r] = measure_prototype(o, program, &parameters);
    }
    unlink(program);
    double a = median(ours, o->rounds);
    double b = median(theirs, o->rounds);
    printf("prototype: %.0f images/s, %lu parameters (ours %lu)\n",
           b,
           parameters,
           (unsigned long)mn_graph_parameters(s->graph));
    printf("memnet: %.0f images/s, ratio %.2f\n", a, a / b);
}

static uint32_t number(const char *what, const char *text, int64_t most)
{
    mn_error err;
    int64_t value = 0;
    if (mn_integer_parse(what, text, 1, most, &value, &err) != MN_OK)
        die(&err);
    return (uint32_t)value;
}

static options parse(int argc, char **argv)
{
    options o = {.net = "A", .width = 32, .batch = 64, .threads = 2, .steps = 20, .rounds = 5};
    static const struct option longs[] = {{"net", required_argument, NULL, 'n'},
                                          {"width", required_argument, NULL, 'w'},
                                          {"batch", required_argument, NULL, 'b'},
                                          {"threads", required_argument, NULL, 't'},
                                          {"steps", required_argument, NULL, 's'},
                                          {"rounds", required_argument, NULL, 'r'},
                                          {"peers", required_argument, NULL, 'p'},
                                          {NULL, 0, NULL, 0}};
    for (int c = getopt_long(argc, argv, "", longs, NULL); c != -1;
         c = getopt_long(argc, argv, "", longs, NULL)) {
        if (c == 'n')
            o.net = optarg;
        else if (c == 'p')
            o.peers = optarg;
        else if (c == 'w')
            o.width = number("--width", optarg, 4096);
        else if (c == 'b')
            o.batch = number("--batch", optarg, 4096);
        else if (c == 't')
            o.threads = number("--threads", optarg, 256);
        else if (c == 's')
            o.steps = number("--steps", optarg, 100000);
        else if (c == 'r')
            o.rounds = number("--rounds", optarg, max_rounds);
        else
            exit(2);
    }
    if (optind < argc)
        o.architecture = argv[optind];
    return o;
}

int main(int argc, char **argv)
{
    subject s = {0};
    options o = parse(argc, argv);
    set_up(&o, &s);
    printf("network %s, width %u, batch %u, float32, %u threads: %lu parameters, %.1f M "
           "multiply-adds, built in %.0f ms, %.0f MB\n",
           o.architecture == NULL ? o.net : o.architecture,
           o.width,
           o.batch,
           o.threads,
           (unsigned long)mn_graph_parameters(s.graph),
           (double)mn_graph_macs(s.graph) / 1e6,
           s.build_ms,
           (double)mn_trainer_arena_bytes(s.trainer) / 1e6);
    if (o.peers != NULL && o.architecture == NULL) {
        compare(&o, &s);
    } else {
        double rates[max_rounds];
        for (uint32_t r = 0; r < o.rounds; r++)
            rates[r] = measure(&o, &s);
        printf("memnet: %.0f images/s\n", median(rates, o.rounds));
    }
    mn_trainer_free(s.trainer);
    mn_graph_free(s.graph);
    free(s.images);
    free(s.labels);
    return 0;
}
