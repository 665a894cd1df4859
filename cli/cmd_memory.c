/*
 * memnet memory: what a network needs, in bytes, and when. All numbers come from the plan that the
 * export lays out and the search compares with its bound.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/size.h"
#include "cli/cli.h"
#include "cli/memory_svg.h"
#include "cli/options.h"
#include "cli/pipeline.h"
#include "cli/text.h"

enum { BAR_LEAST = 8, BAR_MOST = 50, NAME_COLUMNS = 26, OP_COLUMNS = 15 };

typedef struct request {
    char **paths;
    uint32_t count;
    int precision;
    const char *svg; /* path or NULL */
    bool timeline;
    bool compare;
    bool json;
} request;

static json_t *steps_json(const mn__pipeline *network)
{
    const mn_plan *plan = network->plan;
    json_t *steps = json_array();
    for (uint32_t s = 0; steps != NULL && s < plan->step_count; s++) {
        const mn_step *step = &plan->steps[s];
        const mn_node *node = mn_graph_node(network->deployed, step->node);
        json_t *row = json_pack("{s:i, s:s, s:o, s:I, s:b}",
                                "step",
                                (int)s,
                                "op",
                                mn_prim_name(node->prim),
                                "name",
                                mn__json_text(node->name),
                                "live_bytes",
                                (json_int_t)step->live_bytes,
                                "in_place",
                                (int)step->in_place);
        if (row == NULL || json_array_append_new(steps, row) != 0) {
            json_decref(steps);
            return NULL;
        }
    }
    return steps;
}

/* NULL when out of memory. */
static json_t *network_json(const mn__pipeline *network)
{
    const mn_plan *plan = network->plan;
    return json_pack("{s:o, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:b, s:b, s:i, s:I, s:I, s:I, s:I, "
                     "s:o}",
                     "file",
                     mn__json_text(network->path),
                     "precision",
                     mn__pipeline_sizes_text(network),
                     "weights_bytes",
                     (json_int_t)plan->weights_bytes,
                     "arena_bytes",
                     (json_int_t)plan->arena_bytes,
                     "total_bytes",
                     (json_int_t)plan->total_bytes,
                     "lower_bound_bytes",
                     (json_int_t)plan->lower_bound_bytes,
                     "peak_bytes",
                     (json_int_t)plan->peak_bytes,
                     "greedy_peak_bytes",
                     (json_int_t)plan->greedy_peak_bytes,
                     "order_proven",
                     (int)plan->order_proven,
                     "offsets_proven",
                     (int)plan->offsets_proven,
                     "states",
                     (int)plan->states,
                     "macs",
                     (json_int_t)plan->macs,
                     "parameters",
                     (json_int_t)mn_graph_parameters(network->graph),
                     "paper_intermediate_bytes",
                     (json_int_t)plan->paper_intermediate_bytes,
                     "paper_total_bytes",
                     (json_int_t)plan->paper_total_bytes,
                     "steps",
                     steps_json(network));
}

/* One file: its object; several: an array of them. */
static int print_all_json(const mn__pipeline *networks, uint32_t count)
{
    if (count == 1)
        return mn__print_json(network_json(&networks[0]));
    json_t *all = json_array();
    for (uint32_t i = 0; all != NULL && i < count; i++) {
        if (json_array_append_new(all, network_json(&networks[i])) != 0) {
            json_decref(all);
            all = NULL;
        }
    }
    return mn__print_json(all);
}

static const char *proof_text(const mn_plan *plan)
{
    if (plan->arena_bytes == plan->lower_bound_bytes)
        return "reached, so the arena is the smallest possible";
    if (plan->order_proven && plan->offsets_proven)
        return "the order is proven best, and so is the placement for this order";
    if (plan->order_proven)
        return "the order of the steps is proven best, the placement is not";
    if (plan->offsets_proven)
        return "the placement is proven best for this order, the order is not";
    return "neither order nor placement are proven best";
}

static void print_summary(const mn__pipeline *network)
{
    const mn_plan *plan = network->plan;
    printf("%s (%s, batch 1)\n", network->path, mn__pipeline_sizes_text(network));
    printf("  weights         %s\n", mn__bytes_text(plan->weights_bytes).text);
    printf("  arena           %s\n", mn__bytes_text(plan->arena_bytes).text);
    printf("  total           %s\n", mn__bytes_text(plan->total_bytes).text);
    printf("  lower bound     %s for the arena:\n", mn__bytes_text(plan->lower_bound_bytes).text);
    printf("                  %s\n", proof_text(plan));
    printf("  multiply-adds   %s\n", mn__count_text(plan->macs).text);
    printf("  parameters      %s\n", mn__count_text(mn_graph_parameters(network->graph)).text);
    printf("  paper's metric  %s intermediate,\n",
           mn__bytes_text(plan->paper_intermediate_bytes).text);
    printf("                  %s total (float32)\n", mn__bytes_text(plan->paper_total_bytes).text);
}

static int terminal_columns(void)
{
    struct winsize size;
    return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 100;
}

/* The end of a name that is too long for its column, which tells more than its beginning: imported
 * names are paths. `ret` has room for NAME_COLUMNS + 1 bytes. */
static const char *fit_name(const char *name, char *ret)
{
    size_t length = strlen(name);
    if (length <= NAME_COLUMNS)
        return name;
    const char *tail = name + length - (NAME_COLUMNS - 3);
    while (((unsigned char)*tail & 0xc0) == 0x80) /* not in the middle of a character */
        tail++;
    (void)snprintf(ret, NAME_COLUMNS + 1, "...%s", tail);
    return ret;
}

static void print_timeline(const mn__pipeline *network)
{
    const mn_plan *plan = network->plan;
    size_t peak = 1;
    for (uint32_t s = 0; s < plan->step_count; s++)
        peak = plan->steps[s].live_bytes > peak ? plan->steps[s].live_bytes : peak;
    int bar = terminal_columns() - (4 + 1 + OP_COLUMNS + 1 + NAME_COLUMNS + 1 + 13 + 2 + 1);
    bar = bar < BAR_LEAST ? BAR_LEAST : bar > BAR_MOST ? BAR_MOST : bar;
    printf("\n%4s %-*s %-*s %13s\n", "step", OP_COLUMNS, "op", NAME_COLUMNS, "name", "live bytes");
    for (uint32_t s = 0; s < plan->step_count; s++) {
        const mn_step *step = &plan->steps[s];
        const mn_node *node = mn_graph_node(network->deployed, step->node);
        char room[NAME_COLUMNS + 1];
        int filled = (int)((double)step->live_bytes / (double)peak * bar + 0.5);
        printf("%4" PRIu32 " %-*s %-*s %13s  ",
               s,
               OP_COLUMNS,
               mn_prim_name(node->prim),
               NAME_COLUMNS,
               fit_name(node->name, room),
               mn__count_text(step->live_bytes).text);
        for (int i = 0; i < filled; i++)
            putchar('#');
        putchar('\n');
    }
}

/* A row a network, so that the columns can be read down. */
static void print_comparison(const mn__pipeline *networks, uint32_t count)
{
    printf("%14s %14s %14s %14s %6s %14s  %s\n",
           "weights",
           "arena",
           "total",
           "lower bound",
           "proven",
           "multiply-adds",
           "network");
    for (uint32_t i = 0; i < count; i++) {
        const mn_plan *plan = networks[i].plan;
        printf("%14s %14s %14s %14s %6s %14s  %s\n",
               mn__count_text(plan->weights_bytes).text,
               mn__count_text(plan->arena_bytes).text,
               mn__count_text(plan->total_bytes).text,
               mn__count_text(plan->lower_bound_bytes).text,
               plan->arena_bytes == plan->lower_bound_bytes ? "yes" : "no",
               mn__count_text(plan->macs).text,
               networks[i].path);
    }
}

/* Everything that is printed about planned networks. */
static int print_all(const request *r, const mn__pipeline *networks)
{
    if (r->json)
        return print_all_json(networks, r->count);
    if (r->compare)
        print_comparison(networks, r->count);
    for (uint32_t i = 0; i < r->count; i++) {
        if (!r->compare) {
            fputs(i == 0 ? "" : "\n", stdout);
            print_summary(&networks[i]);
        }
        if (r->compare && r->timeline)
            printf("\n%s", networks[i].path);
        if (r->timeline)
            print_timeline(&networks[i]);
    }
    return MN__EXIT_OK;
}

static int show(const request *r)
{
    uint32_t count = r->count;
    mn_error err;
    mn_status status = MN_OK;
    mn__pipeline *networks = mn_calloc(count, sizeof *networks);
    if (networks == NULL)
        status = mn_error_set(&err, MN_ERR_NOMEM, "out of memory for %u networks", count);
    else if (r->svg != NULL && count > 1)
        status = mn_error_set(&err, MN_ERR_ARG, "--svg: %u networks, expected one", count);
    for (uint32_t i = 0; status == MN_OK && i < count; i++) {
        status = mn__pipeline_load(r->paths[i], &networks[i], &err);
        if (status == MN_OK)
            status = mn__pipeline_plan(
                &networks[i], mn__pipeline_precision(&networks[i], r->precision), &err);
    }
    if (status == MN_OK && r->svg != NULL)
        status = mn__memory_svg(&networks[0], r->svg, &err);
    int code = status == MN_OK ? print_all(r, networks) : mn__fail(&err);
    for (uint32_t i = 0; networks != NULL && i < count; i++)
        mn__pipeline_done(&networks[i]);
    free(networks);
    return code;
}

#define INTO(field) offsetof(request, field)

static const mn__option options[] = {
    {.name = "precision",
     .argument = "P",
     .kind = MN__CHOICE,
     .into = INTO(precision),
     .choices = mn__precision_choices,
     .help = "of weights and activations: float32 or int8 (default: the\n"
             "model's; of an architecture int8, as a search counts)"},
    {.name = "timeline",
     .kind = MN__FLAG,
     .into = INTO(timeline),
     .help = "a row for each step: its op, and the bytes alive during it"},
    {.name = "svg",
     .argument = "FILE",
     .kind = MN__TEXT,
     .into = INTO(svg),
     .help = "draw the arena over the steps, one network only"},
    {.name = "compare",
     .kind = MN__FLAG,
     .into = INTO(compare),
     .help = "one row for each network instead of one text"},
    {.name = "json",
     .kind = MN__FLAG,
     .into = INTO(json),
     .help = "print JSON: an object, for several files an array of them"},
};

static const mn__usage usage = {
    .command = "memory",
    .synopsis = "FILE... [options]",
    .about =
        "Shows what networks need in exported C code, in bytes: `weights` are all constant "
        "tables,\n"
        "`arena` is the one read-write buffer, for one image at a time. FILE is an architecture\n"
        "(.json), a model (.safetensors) or any ONNX file (.onnx), whose elements count as the "
        "file\n"
        "states them.\n",
    .options = options,
    .option_count = sizeof options / sizeof options[0],
    .operand = "FILE",
    .operand_max = 10000,
    .examples = "  memnet memory architecture.json\n"
                "  memnet memory study/best/model.safetensors --timeline --svg arena.svg\n"
                "  memnet memory mobilenet.onnx --timeline\n"
                "  memnet memory --compare a.json b.json\n"
                "  memnet memory a.json b.json --json\n",
};

int mn__cmd_memory(int argc, char **argv)
{
    request r = {.precision = -1};
    int first = 0;
    int code = 0;
    if (!mn__options_parse(&usage, argc, argv, &r, &first, &code))
        return code;
    r.paths = argv + first;
    r.count = (uint32_t)(argc - first);
    return show(&r);
}
