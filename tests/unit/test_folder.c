/* Folders as one unit: refused, made with parents, replaced file by file, nothing left over. */
#include "test.h"

#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "emit/folder.h"

static char root[64];

static int make_root(void **state)
{
    (void)state;
    snprintf(root, sizeof root, "/tmp/memnet-folder-XXXXXX");
    return mkdtemp(root) == NULL;
}

static int remove_root(void **state)
{
    (void)state;
    return mn_folder_remove(root, NULL) != MN_OK;
}

/* "root/name" in a buffer that the next call overwrites after eight calls. */
static const char *under(const char *name)
{
    static char paths[8][256];
    static unsigned next;
    char *path = paths[next++ % 8];
    snprintf(path, sizeof paths[0], "%s/%s", root, name);
    return path;
}

static size_t count_entries(const char *path)
{
    size_t count = 0;
    DIR *folder = opendir(path);
    assert_non_null(folder);
    for (struct dirent *e = readdir(folder); e != NULL; e = readdir(folder))
        count += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
    closedir(folder);
    return count;
}

static void assert_content(const char *path, const char *expected)
{
    char *bytes = NULL;
    size_t count = 0;
    mn_error err;
    assert_ok(mn_file_read(path, 1000, &bytes, &count, &err), &err);
    assert_string_equal(bytes, expected);
    free(bytes);
}

static const mn__file two[] = {{"a.c", "one", 3}, {"b.c", "two", 3}};

static void test_new_folder_with_parents(void **state)
{
    (void)state;
    mn_error err;
    assert_ok(mn__folder_check(under("x/y/out"), false, &err), &err);
    assert_ok(mn__folder_write(under("x/y/out//"), two, 2, &err), &err);
    assert_content(under("x/y/out/a.c"), "one");
    assert_content(under("x/y/out/b.c"), "two");
    assert_int_equal(count_entries(under("x/y/out")), 2);
    assert_int_equal(count_entries(under("x/y")), 1);
}

static void test_relative_path(void **state)
{
    (void)state;
    mn_error err;
    char *before = getcwd(NULL, 0);
    assert_non_null(before);
    assert_int_equal(chdir(root), 0);
    mn_status status = mn__folder_write("plain", two, 2, &err);
    assert_int_equal(chdir(before), 0);
    free(before);
    assert_int_equal(status, MN_OK);
    assert_content(under("plain/b.c"), "two");
}

static void test_full_folder(void **state)
{
    (void)state;
    mn_error err;
    const mn__file newer[] = {{"a.c", "newer", 5}, {"b.c", NULL, 3}, {"never.c", NULL, 1}};
    assert_ok(mn_folder_make(under("full"), &err), &err);
    assert_ok(mn__folder_check(under("full"), false, &err), &err); /* empty is fine */
    assert_ok(mn__folder_write(under("full"), two, 2, &err), &err);
    assert_ok(mn_file_write(under("full/mine.txt"), "mine", 4, &err), &err);
    assert_error(
        mn__folder_check(under("full"), false, &err), MN_ERR_IO, &err, "exists and is not empty");
    assert_ok(mn__folder_check(under("full"), true, &err), &err);
    assert_ok(mn__folder_write(under("full"), newer, 3, &err), &err);
    assert_content(under("full/a.c"), "newer");
    assert_content(under("full/mine.txt"), "mine");
    assert_false(mn_path_exists(under("full/b.c")));
    assert_int_equal(count_entries(under("full")), 2);
}

static void test_failures_leave_nothing(void **state)
{
    (void)state;
    mn_error err;
    const mn__file bad[] = {{"a.c", "one", 3}, {"no/such/b.c", "two", 3}};
    assert_ok(mn_folder_make(under("f/kept"), &err), &err);
    assert_ok(mn_file_write(under("f/kept/a.c"), "old", 3, &err), &err);
    assert_ok(mn_file_write(under("f/file"), "x", 1, &err), &err);
    assert_error(mn__folder_write(under("f/out"), bad, 2, &err), MN_ERR_IO, &err, "b.c");
    assert_false(mn_path_exists(under("f/out")));
    assert_error(mn__folder_write(under("f/kept"), bad, 2, &err), MN_ERR_IO, &err, "b.c");
    assert_content(under("f/kept/a.c"), "old");
    assert_int_equal(count_entries(under("f/kept")), 1);
    assert_error(mn__folder_check(under("f/file"), true, &err), MN_ERR_IO, &err, "Not a directory");
    assert_error(mn__folder_write(under("f/file"), two, 2, &err), MN_ERR_IO, &err, "f/file");
    assert_error(mn__folder_write(under("f/file/out"), two, 2, &err), MN_ERR_IO, &err, "f/file");
    assert_error(mn__folder_write("", two, 2, &err), MN_ERR_ARG, &err, "expected a path");
    assert_int_equal(count_entries(under("f")), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_new_folder_with_parents),
        cmocka_unit_test(test_relative_path),
        cmocka_unit_test(test_full_folder),
        cmocka_unit_test(test_failures_leave_nothing),
    };
    return cmocka_run_group_tests(tests, make_root, remove_root);
}
