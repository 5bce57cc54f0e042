# SPDX-License-Identifier: MIT
# words.awk: -v seed=N -v words=N -v ranks=N: prints a text of so many words, the same at every run.
# Words are as unevenly frequent as those of a language: the one of rank r
# comes up in proportion to 1/r (Zipf's law). Capitals, digits and punctuation
# stand between; lines are of any length, some empty.
function draw()
{
    # Park and Miller's generator: exact in the doubles that awk counts with.
    seed = seed * 16807 % 2147483647
    return seed / 2147483647
}

# Spells a rank by letters, no two ranks alike.
function spell(rank,  text)
{
    text = ""
    do {
        text = substr("etaoinshrdlcumwfgypbvkjxqz", rank % 26 + 1, 1) text
        rank = int(rank / 26)
    } while (rank > 0)
    return text
}

BEGIN {
    split(". , ; : ! ? - ' 7 42 --", marks, " ")
    span = log(ranks)
    for (i = 0; i < words; i++) {
        word = spell(int(exp(draw() * span)))
        u = draw()
        if (u < 0.1)
            word = toupper(substr(word, 1, 1)) substr(word, 2)
        if (u > 0.85)
            word = word marks[int(draw() * 11) + 1]
        printf "%s%s", word, u < 0.92 ? " " : u < 0.99 ? "\n" : "\n\n"
    }
}
