/*
 * Reads gcc's call graphs and finds the deepest chain of calls. Graphs of exported code have some
 * hundred functions, so names are looked up one by one. Invariant: edges name functions that exist.
 */
#include "cli/call_graph.h"

#include <stdlib.h>
#include <string.h>

#include "base/size.h"

void mn__call_graph_done(mn__call_graph *graph)
{
    for (uint32_t f = 0; f < graph->function_count; f++)
        free(graph->functions[f].name);
    free(graph->functions);
    free(graph->edges);
    *graph = (mn__call_graph){0};
}

/* The text between the quotes that follow `key` in a line, in fresh memory; NULL without. */
static char *quoted(const char *line, const char *end, const char *key)
{
    const char *at = strstr(line, key);
    if (at == NULL || at >= end)
        return NULL;
    at += strlen(key);
    const char *close = memchr(at, '"', (size_t)(end - at));
    return close == NULL ? NULL : strndup(at, (size_t)(close - at));
}

/* Index of a function, which is made when it is new; MN_NONE when out of memory. */
static uint32_t find_function(mn__call_graph *graph, const char *name)
{
    for (uint32_t f = 0; f < graph->function_count; f++)
        if (strcmp(graph->functions[f].name, name) == 0)
            return f;
    mn__function *more =
        realloc(graph->functions, (graph->function_count + (size_t)1) * sizeof *more);
    char *copy = strdup(name);
    if (more != NULL)
        graph->functions = more;
    if (more == NULL || copy == NULL) {
        free(copy);
        return UINT32_MAX;
    }
    more[graph->function_count] = (mn__function){.name = copy};
    return graph->function_count++;
}

/* node: { title: "NAME" label: "NAME\nFILE:LINE:COLUMN\nN bytes (static)..." } */
static bool add_node(mn__call_graph *graph, const char *line, const char *end)
{
    char *name = quoted(line, end, "title: \"");
    char *label = quoted(line, end, "label: \"");
    bool good = name != NULL && label != NULL;
    uint32_t f = good ? find_function(graph, name) : UINT32_MAX;
    const char *bytes = good ? strstr(label, " bytes (") : NULL;
    if (f != UINT32_MAX && bytes != NULL) {
        while (bytes > label && bytes[-1] >= '0' && bytes[-1] <= '9')
            bytes--;
        graph->functions[f].frame = (uint32_t)strtoul(bytes, NULL, 10);
        graph->functions[f].is_known = true;
    }
    free(label);
    free(name);
    return f != UINT32_MAX;
}

/* edge: { sourcename: "NAME" targetname: "NAME" ... } */
static bool add_edge(mn__call_graph *graph, const char *line, const char *end)
{
    char *from = quoted(line, end, "sourcename: \"");
    char *to = quoted(line, end, "targetname: \"");
    mn__edge edge = {UINT32_MAX, UINT32_MAX};
    mn__edge *more = realloc(graph->edges, (graph->edge_count + (size_t)1) * sizeof *more);
    if (more != NULL)
        graph->edges = more;
    if (from != NULL && to != NULL && more != NULL) {
        edge.from = find_function(graph, from);
        edge.to = find_function(graph, to);
    }
    free(to);
    free(from);
    if (edge.from == UINT32_MAX || edge.to == UINT32_MAX)
        return false;
    more[graph->edge_count++] = edge;
    return true;
}

mn_status mn__call_graph_add(mn__call_graph *graph, const char *text, mn_error *err)
{
    bool good = true;
    for (const char *line = text; *line != '\0' && good;) {
        const char *end = strchr(line, '\n');
        end = end == NULL ? line + strlen(line) : end;
        if (strncmp(line, "node: ", 6) == 0)
            good = add_node(graph, line, end);
        else if (strncmp(line, "edge: ", 6) == 0)
            good = add_edge(graph, line, end);
        line = *end == '\0' ? end : end + 1;
    }
    return good ? MN_OK : mn_error_set(err, MN_ERR_FORMAT, "a call graph: malformed, or no memory");
}

void mn__call_graph_set_frame(mn__call_graph *graph, const char *name, uint32_t bytes)
{
    for (uint32_t f = 0; f < graph->function_count; f++) {
        const char *colon = strrchr(graph->functions[f].name, ':');
        if (strcmp(colon == NULL ? graph->functions[f].name : colon + 1, name) == 0)
            graph->functions[f].frame = bytes;
    }
}

/* One round over all edges settles chains that are one call longer; as many rounds as
 * functions are enough without recursion, of which kernels have none. */
static void find_deepest(mn__call_graph *graph)
{
    for (uint32_t f = 0; f < graph->function_count; f++)
        graph->functions[f].deepest = graph->functions[f].frame;
    bool changed = true;
    for (uint32_t round = 0; round < graph->function_count && changed; round++) {
        changed = false;
        for (uint32_t e = 0; e < graph->edge_count; e++) {
            mn__function *from = &graph->functions[graph->edges[e].from];
            uint32_t deep = from->frame + graph->functions[graph->edges[e].to].deepest;
            if (deep > from->deepest) {
                from->deepest = deep;
                changed = true;
            }
        }
    }
}

/* Whether all functions below `first` are known. */
static bool is_complete(mn__call_graph *graph, uint32_t first)
{
    bool complete = graph->functions[first].is_known;
    for (uint32_t f = 0; f < graph->function_count; f++)
        graph->functions[f].is_reached = f == first;
    for (bool changed = true; changed;) {
        changed = false;
        for (uint32_t e = 0; e < graph->edge_count; e++) {
            mn__function *to = &graph->functions[graph->edges[e].to];
            if (!graph->functions[graph->edges[e].from].is_reached || to->is_reached)
                continue;
            to->is_reached = true;
            complete = complete && to->is_known;
            changed = true;
        }
    }
    return complete;
}

mn_status mn__call_graph_stack(
    mn__call_graph *graph, const char *name, uint32_t *ret_bytes, bool *ret_complete, mn_error *err)
{
    for (uint32_t f = 0; f < graph->function_count; f++) {
        if (strcmp(graph->functions[f].name, name) != 0)
            continue;
        find_deepest(graph);
        *ret_complete = is_complete(graph, f);
        *ret_bytes = graph->functions[f].deepest;
        return MN_OK;
    }
    return mn_error_set(err, MN_ERR_FORMAT, "a call graph without %s", name);
}
