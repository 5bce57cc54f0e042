/* SPDX-License-Identifier: MIT */
#include "pages.h"

#include "os/os.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

unsigned char *reserve_and_commit(size_t bytes)
{
    unsigned char *start = gc_os.reserve(bytes, gc_os_page_bytes());

    assert_non_null(start);
    assert_true(gc_os.commit(start, bytes));
    return start;
}

bool is_all(const unsigned char *bytes, size_t count, unsigned char value)
{
    size_t equal = 0;

    while (equal < count && bytes[equal] == value) {
        equal++;
    }
    return equal == count;
}
