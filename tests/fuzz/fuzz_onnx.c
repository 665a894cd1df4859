/*
 * Fuzz target: any bytes as an ONNX model. They are refused with one line, or they are a graph that
 * can be deployed and whose nodes all state the size of their elements. Either way no more is
 * allocated than 20 times their count and 1 MiB; the sanitizer's hooks count.
 */
#include <sanitizer/allocator_interface.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "memnet/deploy.h"
#include "memnet/onnx.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count);

/* Bytes of the blocks that were allocated since counting began and live. */
static struct {
    size_t live, peak;
    int is_on;
} counted;

static void on_malloc(const volatile void *block, size_t bytes)
{
    if (!counted.is_on || block == NULL)
        return;
    counted.live += bytes;
    counted.peak = counted.live > counted.peak ? counted.live : counted.peak;
}

static void on_free(const volatile void *block)
{
    if (!counted.is_on || block == NULL)
        return;
    size_t bytes = __sanitizer_get_allocated_size(block);
    counted.live -= bytes < counted.live ? bytes : counted.live;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    __sanitizer_install_malloc_and_free_hooks(on_malloc, on_free);
    return 0;
}

static void require(int holds)
{
    if (!holds)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    mn_graph *graph = NULL;
    mn_graph *deployed = NULL;
    mn_error err = {MN_OK, ""};
    counted.live = counted.peak = 0;
    counted.is_on = 1;
    mn_status status = mn_onnx_parse(bytes, count, &graph, &err);
    counted.is_on = 0;
    require(counted.peak <= 20 * count + ((size_t)1 << 20));
    if (status != MN_OK) {
        require(graph == NULL && status == err.status && err.message[0] != '\0');
        require(strchr(err.message, '\n') == NULL);
        require(status != MN_ERR_NOMEM && status != MN_ERR_INTERNAL);
        return 0;
    }
    for (uint32_t n = 0; n < mn_graph_node_count(graph); n++)
        require(mn_graph_node(graph, n)->element_bytes > 0);
    if (mn_deploy(graph, NULL, &deployed, NULL, NULL) == MN_OK)
        require(mn_graph_output_count(deployed) > 0);
    mn_graph_free(deployed);
    mn_graph_free(graph);
    return 0;
}
