/*
 * The stack that compiled code needs, from the call graphs that gcc writes with
 * -fcallgraph-info=su: frames of functions, and who calls whom.
 */
#ifndef MN_CLI_CALL_GRAPH_H
#define MN_CLI_CALL_GRAPH_H

#include <stdbool.h>
#include <stdint.h>

#include "memnet/status.h"

typedef struct mn__function {
    char *name;       /* of a static function: "<file>:<name>" */
    uint32_t frame;   /* bytes; 0 where unknown */
    uint32_t deepest; /* frame and the deepest chain of calls below it */
    bool is_known;    /* its frame was in a graph: not so for the compiler's own routines */
    bool is_reached;  /* by the calls that are looked at */
} mn__function;

typedef struct mn__edge {
    uint32_t from, to;
} mn__edge;

/* Starts as {0}. */
typedef struct mn__call_graph {
    mn__function *functions;
    uint32_t function_count;
    mn__edge *edges;
    uint32_t edge_count;
} mn__call_graph;

void mn__call_graph_done(mn__call_graph *graph);

/* Adds one file of gcc's. Lines that are neither node nor edge are skipped. */
mn_status mn__call_graph_add(mn__call_graph *graph, const char *text, mn_error *err);

/* Sets the frame of a function that gcc sees without one, of every file that has it as a static
 * one: of functions in assembly gcc knows nothing. */
void mn__call_graph_set_frame(mn__call_graph *graph, const char *name, uint32_t bytes);

/* Stack that a call of `name` needs, its own frame included. *ret_complete = false when a function
 * of unknown frame is among those called; it counts as 0. MN_ERR_FORMAT without such a function. */
mn_status mn__call_graph_stack(mn__call_graph *graph,
                               const char *name,
                               uint32_t *ret_bytes,
                               bool *ret_complete,
                               mn_error *err);

#endif
