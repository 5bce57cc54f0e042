/* SPDX-License-Identifier: MIT
 *
 * Replays inputs of a fuzzing target without a fuzzer: files, and lists of
 * inputs, one a line in hexadecimal, whose names end in ".hex". "-n COUNT SEED
 * MOST" before them runs so many random inputs of at most MOST bytes.
 */
#include "fuzz/target.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = 1 << 16 };

static size_t replayed;

/* In memory of its size, so that a sanitizer sees who reads past it. */
static void replay(const unsigned char *bytes, size_t size)
{
    unsigned char *input = malloc(size + (size == 0));

    if (input == NULL)
        abort();
    memcpy(input, bytes, size);
    (void)LLVMFuzzerTestOneInput(input, size);
    free(input);
    replayed++;
}

static int digit(int character)
{
    static const char digits[] = "0123456789abcdef";
    const char *at = character == '\0' ? NULL : strchr(digits, character);

    return at == NULL ? -1 : (int)(at - digits);
}

static bool replay_line(const char *line)
{
    static unsigned char bytes[MOST];
    size_t size = 0;

    for (; digit(line[0]) >= 0 && digit(line[1]) >= 0; line += 2)
        bytes[size++] = (unsigned char)(digit(line[0]) << 4 | digit(line[1]));
    if (*line != '\n' && *line != '\0')
        return false;
    replay(bytes, size);
    return true;
}

static bool replay_list(FILE *file)
{
    static char line[2 * MOST];
    bool is_good = true;

    while (is_good && fgets(line, sizeof line, file) != NULL)
        is_good = replay_line(line);
    return is_good;
}

static bool replay_one(FILE *file)
{
    static unsigned char bytes[MOST];

    replay(bytes, fread(bytes, 1, sizeof bytes, file));
    return true;
}

static bool replay_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    const char *end = strrchr(path, '.');
    bool is_list = end != NULL && strcmp(end, ".hex") == 0;
    bool is_good;

    if (file == NULL)
        return false;
    is_good = is_list ? replay_list(file) : replay_one(file);
    return fclose(file) == 0 && is_good;
}

/* Marsaglia's xorshift. */
static void run_random(unsigned long count, uint64_t seed, size_t most)
{
    static unsigned char bytes[MOST];
    uint64_t state = seed * 2 + 1;

    for (; count > 0; count--) {
        size_t size = 0;

        do {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            bytes[size++] = (unsigned char)(state >> 32);
        } while (size < most && state % most != 0);
        replay(bytes, size);
    }
}

static unsigned long number(const char *text)
{
    return strtoul(text, NULL, 10);
}

int main(int count, char **arguments)
{
    int next = 1;

    if (LLVMFuzzerInitialize(&count, &arguments) != 0)
        return 1;
    if (count > 4 && strcmp(arguments[1], "-n") == 0) {
        size_t most = number(arguments[4]);

        run_random(number(arguments[2]), number(arguments[3]),
                   most == 0 || most > MOST ? MOST : most);
        next = 5;
    }
    for (; next < count; next++)
        if (!replay_file(arguments[next])) {
            (void)fprintf(stderr, "%s: cannot be read\n", arguments[next]);
            return 1;
        }
    printf("%zu inputs replayed\n", replayed);
    return replayed > 0 ? 0 : 1;
}
