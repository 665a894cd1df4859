/*
 * memnet worker: the loop of a process that trains candidates; started by `memnet search`.
 */
#include <stdio.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/options.h"
#include "memnet/search.h"

typedef struct request {
    uint32_t data_fd;
} request;

static const mn__option options[] = {
    {.name = "data-fd",
     .argument = "N",
     .kind = MN__COUNT,
     .into = offsetof(request, data_fd),
     .low = 3,
     .high = 1048576,
     .required = true,
     .help = "descriptor of the shared data set; required"},
};

static const mn__usage usage = {
    .command = "worker",
    .synopsis = "--data-fd N",
    .about =
        "Trains candidates for `memnet search`, which starts it: reads jobs from the standard\n"
        "input and writes results to the standard output, as JSON lines.\n",
    .options = options,
    .option_count = sizeof options / sizeof options[0],
};

int mn__cmd_worker(int argc, char **argv)
{
    request r = {.data_fd = 0};
    mn_error err;
    int first = 0;
    int code = 0;
    if (!mn__options_parse(&usage, argc, argv, &r, &first, &code))
        return code;
    if (mn_worker_run(STDIN_FILENO, STDOUT_FILENO, (int)r.data_fd, &err) != MN_OK)
        return mn__fail(&err);
    return MN__EXIT_OK;
}
