/* The estimate of training effort: what fills a vector is free, what passes through memory is not.
 */
#include "test.h"

#include <string.h>

#include "memnet/deploy.h"
#include "memnet/genotype.h"
#include "search/effort.h"

/* Two cells in a chain behind a stem, all of this width. */
static double effort_of(const char *op, int width, int side, double *ret_macs)
{
    char json[1024];
    mn_error err;
    mn_genotype g;
    mn_graph *graph = NULL;
    mn_graph *deployed = NULL;
    snprintf(json,
             sizeof json,
             "{\"format\":1,\"input\":[%d,%d,3],\"classes\":10,\"stem\":{\"width\":%d,"
             "\"stride\":1},\"blocks\":[{\"stride\":1,\"width\":%d,\"cells\":["
             "{\"in\":[0,0],\"op\":[\"%s\",\"identity\"],\"combine\":\"add\",\"out\":false},"
             "{\"in\":[1,1],\"op\":[\"%s\",\"identity\"],\"combine\":\"add\",\"out\":true}]}],"
             "\"head\":\"gap\"}",
             side,
             side,
             width,
             width,
             op,
             op);
    assert_ok(mn_genotype_parse(json, strlen(json), &g, &err), &err);
    assert_ok(mn_genotype_lower(&g, &graph, &err), &err);
    assert_ok(mn_deploy(graph, NULL, &deployed, NULL, &err), &err);
    double effort = mn__train_effort(deployed);
    if (ret_macs != NULL)
        *ret_macs = (double)mn_graph_macs(deployed);
    mn_graph_free(deployed);
    mn_graph_free(graph);
    return effort;
}

static void test_lanes(void **state)
{
    (void)state;
    double narrow = effort_of("conv_3x3", 4, 16, NULL);
    double full = effort_of("conv_3x3", 16, 16, NULL);
    double over = effort_of("conv_3x3", 17, 16, NULL);
    assert_true(narrow > 0.0);
    assert_true(narrow == full); /* classes are padded, too */
    assert_true(over > 1.5 * full);
}

static void test_maps(void **state)
{
    (void)state;
    double small = effort_of("sep_conv_3x3", 16, 16, NULL);
    double large = effort_of("sep_conv_3x3", 16, 32, NULL);
    assert_true(large > 3.9 * small && large < 4.1 * small);
}

/* What multiply-adds do not tell: a narrow inverted bottleneck of fewer takes longer. */
static void test_not_by_macs(void **state)
{
    double bottleneck_macs, dense_macs;
    (void)state;
    double bottleneck = effort_of("mbconv_5x5_e6", 4, 28, &bottleneck_macs);
    double dense = effort_of("conv_3x3", 16, 28, &dense_macs);
    assert_true(bottleneck_macs < dense_macs);
    assert_true(bottleneck > 1.5 * dense);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lanes),
        cmocka_unit_test(test_maps),
        cmocka_unit_test(test_not_by_macs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
