/*
 * A search for the end-to-end tests: every option of mn_search_opts from the command line, also
 * those that the program `memnet` does not offer, so that a search takes a second.
 *
 *     search_driver search STUDY DATA-SPEC [option=number | preset=P | strategy=S | precision=P]...
 *     search_driver worker --data-fd N
 *
 * Prints what was reached, or one line to stderr; exits with the status of the search.
 */
#include <inttypes.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/size.h"
#include "memnet/search.h"

enum { exit_usage = 64 };

typedef struct option {
    const char *name;
    size_t offset, bytes; /* of an unsigned number in mn_search_opts */
} option;

#define OPTION(name, member)                                                                       \
    {                                                                                              \
        name, offsetof(mn_search_opts, member), sizeof((mn_search_opts *)0)->member                \
    }

static const option options[] = {
    OPTION("total", bounds[0].total_bytes),
    OPTION("ram", bounds[0].ram_bytes),
    OPTION("flash", bounds[0].flash_bytes),
    OPTION("macs", bounds[0].max_macs),
    OPTION("total2", bounds[1].total_bytes),
    OPTION("total3", bounds[2].total_bytes),
    OPTION("bound_count", bound_count),
    OPTION("rungs", rungs),
    OPTION("qat_epochs", qat_epochs),
    OPTION("time_ms", time_ms),
    OPTION("rounds", rounds),
    OPTION("top_k", top_k),
    OPTION("neighbours", neighbours),
    OPTION("jobs", jobs),
    OPTION("seed", seed),
    OPTION("max_cells", max_cells),
    OPTION("finalists", finalists),
    OPTION("finalist_seeds", finalist_seeds),
    OPTION("finalist_epochs", finalist_epochs),
    OPTION("rung_epochs", rung_epochs),
    OPTION("rung_images", rung_images),
};

static mn_status set_number(mn_search_opts *opts, const option *o, const char *text, mn_error *err)
{
    int64_t value = 0;
    mn_status status =
        mn_integer_parse(o->name, text, 0, o->bytes == 4 ? UINT32_MAX : INT64_MAX, &value, err);
    uint32_t small = (uint32_t)value;
    if (status == MN_OK)
        memcpy((char *)opts + o->offset, o->bytes == 4 ? (void *)&small : &value, o->bytes);
    return status;
}

static mn_status set_option(mn_search_opts *opts, const char *text, mn_error *err)
{
    const char *equals = strchr(text, '=');
    size_t length = equals == NULL ? 0 : (size_t)(equals - text);
    if (strncmp(text, "preset=", 7) == 0)
        return mn_preset_parse(equals + 1, &opts->preset, err);
    if (strncmp(text, "precision=", 10) == 0)
        return mn_precision_parse(equals + 1, &opts->precision, err);
    if (strncmp(text, "strategy=", 9) == 0)
        return mn_strategy_parse(equals + 1, &opts->strategy, err);
    if (strncmp(text, "lambda=", 7) == 0)
        return mn_number_parse("lambda", equals + 1, -1e9, 1e9, &opts->lambda, err);
    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++)
        if (strlen(options[i].name) == length && strncmp(options[i].name, text, length) == 0)
            return set_number(opts, &options[i], equals + 1, err);
    return mn_error_set(err, MN_ERR_ARG, "%s: no such option", text);
}

static void tell(void *context, const mn_progress *p)
{
    (void)context;
    printf("%s round %u jobs %u/%u elapsed %" PRId64 " landed %d\n",
           p->phase,
           p->round,
           p->jobs_done,
           p->jobs_total,
           p->elapsed_ms,
           p->landed);
    fflush(stdout);
}

static mn_status search(int count, char **arguments, mn_error *err)
{
    char self[4096];
    mn_dataset *dataset = NULL;
    mn_search_opts opts = mn_search_opts_default();
    ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
    if (length < 0)
        return mn_error_set(err, MN_ERR_IO, "/proc/self/exe cannot be read");
    self[length] = '\0';
    opts.bound_count = 1;
    opts.worker_program = self;
    opts.progress = tell;
    mn_status status = MN_OK;
    for (int i = 2; i < count && status == MN_OK; i++)
        status = set_option(&opts, arguments[i], err);
    if (status == MN_OK)
        status = mn_dataset_open(arguments[1], &dataset, err);
    if (status == MN_OK)
        status = mn_search_run(&opts, dataset, arguments[0], err);
    mn_dataset_free(dataset);
    return status;
}

int main(int argc, char **argv)
{
    mn_error err = {0};
    mn_status status = MN_OK;
    signal(SIGXFSZ, SIG_IGN);
    if (argc >= 4 && strcmp(argv[1], "search") == 0)
        status = search(argc - 2, argv + 2, &err);
    else if (argc == 4 && strcmp(argv[1], "worker") == 0)
        status = mn_worker_run(STDIN_FILENO, STDOUT_FILENO, atoi(argv[3]), &err);
    else
        return exit_usage;
    if (status != MN_OK)
        fprintf(stderr, "%s\n", err.message);
    return (int)status;
}
