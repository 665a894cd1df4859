/*
 * Training speed: images per second of whole training steps (forward, loss, backward, update),
 * alone or beside other programs that train the same networks. The usage text below says how.
 *
 * Here are the options and the measurement of ours alone. train_compare.c does the comparison,
 * train_workers.c our processes in it, train_peers.c the others'.
 */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/size.h"
#include "train_compare.h"
#include "train_profile.h"
#include "train_subject.h"
#include "train_workers.h"

enum { warm_up_steps = 3, max_threads = 256, max_nets = 8 };

typedef struct options {
    mn_bench_plan plan;
    char nets[max_nets + 1]; /* what plan.nets points to */
    const char *architecture;
    bool bf16, worker, profile;
} options;

static const char usage[] =
    "usage: train_step [OPTION]...             our speed alone, network A of width 32\n"
    "       train_step [OPTION]... ARCH.json   the same for an architecture file\n"
    "       train_step --peers DIR [OPTION]... beside PyTorch and a prototype on oneDNN, one "
    "table\n"
    "                                          for each of A, B, S, D at the widths 32 and 16\n"
    "\n"
    "  --net LIST       of A, B, S, D, P (A,S)\n"
    "  --width LIST     channels of a block (32,16)\n"
    "  --batch N        images a step, default 64\n"
    "  --threads N      default: all processors; with --peers one training on N threads and N\n"
    "                   trainings of one thread at the same time are both measured\n"
    "  --steps N        timed steps of a measurement, default 20\n"
    "  --rounds N       how often everything is measured in turn, default 3; medians are printed\n"
    "  --compute TYPE   float32 (default) or bf16; with --peers both are measured\n"
    "  --peers DIR      holds torch_step.py (run by /usr/bin/python3, needs python3-torch) and\n"
    "                   onednn_step.c (built with gcc and oneDNN); either may be missing\n"
    "  --profile        ours alone, on one thread: time, GFLOP/s, GB/s of every kind of layer, "
    "and\n"
    "                   how near each is to what the machine can do\n"
    "  --help           this text\n"
    "\n"
    "Exits 1 when something fails or the parameters of a peer's network are not as many as ours,\n"
    "2 on options it does not understand.\n";

/* ---- ours alone ------------------------------------------------------------------------------ */

/* Images per second by the median of plan->steps steps. */
static mn_status
measure(const mn_bench_plan *plan, mn_bench_subject *s, double *ret_rate, mn_error *err)
{
    double *times = mn_calloc(plan->steps, sizeof *times);
    if (times == NULL)
        return mn_error_set(err, MN_ERR_NOMEM, "out of memory");
    mn_status status = MN_OK;
    for (uint32_t i = 0; status == MN_OK && i < warm_up_steps; i++)
        status = mn_bench_subject_step(s, NULL, err);
    for (uint32_t i = 0; status == MN_OK && i < plan->steps; i++)
        status = mn_bench_subject_step(s, &times[i], err);
    if (status == MN_OK)
        *ret_rate = plan->batch / mn_bench_median(times, plan->steps);
    free(times);
    return status;
}

/* The run of one network; also what a worker does. */
static mn_bench_run make_run(const options *o, char net, uint32_t width)
{
    return (mn_bench_run){.net = {net, '\0'},
                          .width = width,
                          .batch = o->plan.batch,
                          .steps = o->plan.steps,
                          .bf16 = o->bf16,
                          .processes = 1,
                          .threads = o->plan.threads};
}

static mn_status run_alone(const options *o, const mn_bench_run *run, mn_error *err)
{
    double rates[mn_bench_max_rounds];
    mn_bench_subject s;
    mn_status status = mn_bench_subject_init(&s, run, o->architecture, err);
    if (status != MN_OK)
        goto done;
    if (o->architecture == NULL)
        printf("network %s, width %" PRIu32, run->net, run->width);
    else
        printf("network %s", o->architecture);
    printf(", batch %" PRIu32 ", %s, %" PRIu32 " threads: %lu parameters, %.1f M "
           "multiply-adds, built in %.0f ms, %.0f MB\n",
           run->batch,
           run->bf16 ? "bf16" : "float32",
           run->threads,
           (unsigned long)mn_graph_parameters(s.graph),
           (double)mn_graph_macs(s.graph) / 1e6,
           s.build_ms,
           (double)mn_trainer_memory_of(s.trainer).arena_bytes / 1e6);
    for (uint32_t r = 0; status == MN_OK && r < o->plan.rounds; r++)
        status = measure(&o->plan, &s, &rates[r], err);
    if (status == MN_OK) {
        double median = mn_bench_median(rates, o->plan.rounds);
        printf("memnet: %.0f images/s (%.0f..%.0f)\n", median, rates[0], rates[o->plan.rounds - 1]);
    }
    if (status == MN_OK && o->profile)
        status = mn_bench_profile(&s, o->plan.steps, run->bf16, err);
done:
    mn_bench_subject_done(&s);
    return status;
}

static mn_status run_all_alone(const options *o, mn_error *err)
{
    mn_status status = MN_OK;
    for (uint32_t w = 0; w < o->plan.width_count; w++) {
        for (const char *net = o->plan.nets; *net != '\0' && status == MN_OK; net++) {
            mn_bench_run run = make_run(o, *net, o->plan.widths[w]);
            status = run_alone(o, &run, err);
        }
    }
    return status;
}

/* ---- options --------------------------------------------------------------------------------- */

static mn_status
parse_number(const char *what, const char *text, int64_t most, uint32_t *ret, mn_error *err)
{
    int64_t value = 0;
    mn_status status = mn_integer_parse(what, text, 1, most, &value, err);
    if (status == MN_OK)
        *ret = (uint32_t)value;
    return status;
}

/* "A,S" */
static mn_status parse_nets(const char *text, options *o, mn_error *err)
{
    size_t count = 0;
    for (const char *at = text; count < max_nets; at += 2) {
        if (*at == '\0' || strchr("ABSDP", *at) == NULL || (at[1] != ',' && at[1] != '\0'))
            break;
        o->nets[count++] = *at;
        if (at[1] == '\0') {
            o->nets[count] = '\0';
            return MN_OK;
        }
    }
    return mn_error_set(
        err, MN_ERR_ARG, "--net: '%s': expected up to %d of A, B, S, D, P", text, max_nets);
}

/* "32,16" */
static mn_status parse_widths(const char *text, mn_bench_plan *plan, mn_error *err)
{
    char word[16];
    plan->width_count = 0;
    for (const char *at = text; plan->width_count < mn_bench_max_widths;) {
        size_t length = strcspn(at, ",");
        (void)snprintf(word, sizeof word, "%.*s", (int)mn_size_smaller(length, sizeof word), at);
        mn_status status =
            parse_number("--width", word, 4096, &plan->widths[plan->width_count], err);
        if (status != MN_OK)
            return status;
        plan->width_count++;
        if (at[length] == '\0')
            return MN_OK;
        at += length + 1;
    }
    return mn_error_set(
        err, MN_ERR_ARG, "--width: '%s': more than %d widths", text, mn_bench_max_widths);
}

static mn_status parse_compute(const char *text, bool *ret_bf16, mn_error *err)
{
    bool bf16 = strcmp(text, "bf16") == 0;
    if (!bf16 && strcmp(text, "float32") != 0)
        return mn_error_set(err, MN_ERR_ARG, "--compute: '%s': expected float32 or bf16", text);
    *ret_bf16 = bf16;
    return MN_OK;
}

static mn_status parse_option(int letter, options *o, mn_error *err)
{
    switch (letter) {
    case 'n':
        return parse_nets(optarg, o, err);
    case 'w':
        return parse_widths(optarg, &o->plan, err);
    case 'b':
        return parse_number("--batch", optarg, 4096, &o->plan.batch, err);
    case 't':
        return parse_number("--threads", optarg, max_threads, &o->plan.threads, err);
    case 's':
        return parse_number("--steps", optarg, 100000, &o->plan.steps, err);
    case 'r':
        return parse_number("--rounds", optarg, mn_bench_max_rounds, &o->plan.rounds, err);
    case 'c':
        return parse_compute(optarg, &o->bf16, err);
    case 'p':
        o->plan.peers = optarg;
        return MN_OK;
    case 'P':
        o->profile = true;
        return MN_OK;
    case 'W':
        o->worker = true;
        return MN_OK;
    default:
        return mn_error_set(err, MN_ERR_ARG, "unknown option; --help lists them");
    }
}

/* What was not said. */
static void complete(options *o)
{
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    if (o->profile)
        o->plan.threads = 1;
    if (o->plan.threads == 0)
        o->plan.threads = processors < 1             ? 1
                          : processors > max_threads ? max_threads
                                                     : (uint32_t)processors;
    if (o->nets[0] == '\0')
        (void)snprintf(o->nets, sizeof o->nets, "%s", o->plan.peers == NULL ? "A" : "ABSD");
    if (o->plan.width_count == 0) {
        o->plan.widths[0] = 32;
        o->plan.widths[1] = 16;
        o->plan.width_count = o->plan.peers == NULL ? 1 : 2;
    }
    o->plan.nets = o->nets;
}

static mn_status parse(int argc, char **argv, options *o, mn_error *err)
{
    static const struct option longs[] = {{"net", required_argument, NULL, 'n'},
                                          {"width", required_argument, NULL, 'w'},
                                          {"batch", required_argument, NULL, 'b'},
                                          {"threads", required_argument, NULL, 't'},
                                          {"steps", required_argument, NULL, 's'},
                                          {"rounds", required_argument, NULL, 'r'},
                                          {"compute", required_argument, NULL, 'c'},
                                          {"peers", required_argument, NULL, 'p'},
                                          {"profile", no_argument, NULL, 'P'},
                                          {"worker", no_argument, NULL, 'W'}, /* for ourselves */
                                          {NULL, 0, NULL, 0}};
    *o = (options){.plan = {.batch = 64, .steps = 20, .rounds = 3}};
    opterr = 0;
    for (int c = getopt_long(argc, argv, ":", longs, NULL); c != -1;
         c = getopt_long(argc, argv, ":", longs, NULL)) {
        if (c == ':')
            return mn_error_set(err, MN_ERR_ARG, "%s wants a value", argv[optind - 1]);
        if (c == '?')
            return mn_error_set(
                err, MN_ERR_ARG, "'%s' is no option; --help lists them", argv[optind - 1]);
        mn_status status = parse_option(c, o, err);
        if (status != MN_OK)
            return status;
    }
    if (argc - optind > 1)
        return mn_error_set(err, MN_ERR_ARG, "more than one architecture file");
    if (optind < argc)
        o->architecture = argv[optind];
    if (o->architecture != NULL && o->plan.peers != NULL)
        return mn_error_set(err, MN_ERR_ARG, "the peers know no architecture files");
    if (o->architecture != NULL && (o->nets[0] != '\0' || o->plan.width_count > 0))
        return mn_error_set(err, MN_ERR_ARG, "an architecture file has its own width");
    complete(o);
    return MN_OK;
}

static int fail(const mn_error *err, int exit_status)
{
    (void)fflush(stdout);
    fprintf(stderr, "train_step: %s\n", err->message);
    return exit_status;
}

int main(int argc, char **argv)
{
    options o;
    mn_error err = {0};
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0) {
            (void)fputs(usage, stdout);
            return fflush(stdout) == 0 ? 0 : 1;
        }
    }
    if (parse(argc, argv, &o, &err) != MN_OK)
        return fail(&err, 2);
    if (o.worker) {
        mn_bench_run run = make_run(&o, o.nets[0], o.plan.widths[0]);
        return mn_bench_worker_main(&run);
    }
    mn_status status =
        o.plan.peers == NULL ? run_all_alone(&o, &err) : mn_bench_compare(&o.plan, &err);
    return status == MN_OK ? 0 : fail(&err, 1);
}
