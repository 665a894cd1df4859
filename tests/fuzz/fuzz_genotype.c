/* Any bytes as a genotype. What parses must pass the check, print and parse back to itself with
 * the same id; small networks must also lower to a graph (or say why not). Prints nothing. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "memnet/genotype.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count);

/* Stops the fuzzer with a trace when a promise is broken. */
static void require(bool holds)
{
    if (!holds)
        abort();
}

static void check_round_trip(const mn_genotype *genotype, int indent)
{
    mn_error err;
    char *json = NULL;
    mn_genotype again;
    mn_status status = mn_genotype_print(genotype, indent, &json, &err);
    if (status == MN_ERR_NOMEM)
        return;
    require(status == MN_OK);
    require(mn_genotype_parse(json, strlen(json), &again, &err) == MN_OK);
    free(json);
    char id[MN_ID_BYTES];
    char id_again[MN_ID_BYTES];
    mn_genotype_id(genotype, id);
    mn_genotype_id(&again, id_again);
    require(mn_genotype_equal(genotype, &again));
    require(strcmp(id, id_again) == 0);
}

static void check_lowering(const mn_genotype *genotype)
{
    mn_error err;
    mn_graph *graph = NULL;
    mn_status status = mn_genotype_lower(genotype, &graph, &err);
    require(status == MN_OK || status == MN_ERR_LIMIT || status == MN_ERR_NOMEM);
    if (status != MN_OK)
        return;
    const mn_node *logits = mn_graph_node(graph, mn_graph_output(graph, 0));
    require(mn_shape_equal(logits->shape, (mn_shape){1, 1, genotype->classes}));
    uint32_t layers = mn_genotype_layer_count(genotype);
    for (uint32_t n = 0; n < mn_graph_node_count(graph); n++) {
        const mn_node *node = mn_graph_node(graph, n);
        require(node->prim == MN_PRIM_INPUT || node->layer < layers);
    }
    mn_graph_free(graph);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    mn_error err;
    mn_genotype genotype;
    mn_status status = mn_genotype_parse((const char *)bytes, count, &genotype, &err);
    if (status != MN_OK) {
        require(err.status == status && err.message[0] != '\0');
        require(strchr(err.message, '\n') == NULL);
        return 0;
    }
    require(mn_genotype_check(&genotype, &err) == MN_OK);
    check_round_trip(&genotype, (int)(count % 9));
    uint32_t layers = mn_genotype_layer_count(&genotype);
    require(mn_genotype_layer_head(&genotype) == layers - 1);
    if (layers <= 100)
        check_lowering(&genotype);
    return 0;
}
