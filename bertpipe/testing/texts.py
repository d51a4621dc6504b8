"""Texts that are hard to take apart."""

# Accents, both composed and not, emoji, a ZWJ sequence, flags, right to left, line ends, tabs, NUL.
TEXTS = (
    "Angela Merkel met Barack Obama in Berlin.",
    "",
    "  \t\n",
    "Zoë and Zoe\u0308 flew from São Paulo to Łódź, 3,500 km.",
    "The 👩\u200d👩\u200d👧 family of 🇩🇪 and 🇫🇷 likes 🍕🍕!",
    "שלום עולם, مرحبا بالعالم",
    "東京都 in 日本 and ไทย",
    "one\ttwo\r\nthree\x00four\u200bfive\ufeff six",
    "a",
    "ﬁne ligatures, ½ and ™, Ⅷ, ﷺ",
    "A longer text about a journey to the sea and back again. " * 12,
    "Angela Merkel met Barack Obama in Berlin.",
)
