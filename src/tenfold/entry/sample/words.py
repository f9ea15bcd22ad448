"""The words of the sample world: people's names, and a small grammar of posts in several languages. Values only."""

FIRST_NAMES = tuple(
    """
    Ana Bruno Chiara Daan Elif Femi Greta Hugo Ines Jonas Keiko Leila Mateo Nina Omar Paula Quentin Rosa Sven
    Tariq Uma Viktor Wanda Ximena Yusuf Zoe Aisha Benoit Carmen Dmitri Emma Farid Giulia Hana Ivan Julia Kofi
    Lucas Mei Noor Oskar Priya Rafael Sofia Thandi Ulrich Vera Wei Yara Zeno Amara Björn Chloé Diego Esra
    Fatima Gabriel Hiro Ida Jin
    """.split()  # noqa: SIM905 - read as a list of words
)

LAST_NAMES = tuple(
    """
    Silva Novak Rossi Müller Okafor Tanaka Kaya Dubois García Lindqvist Haddad Kowalski Chen Fernandes Schmidt
    Ito Mensah Moreau Ortiz Petrov Singh Vargas Weber Yilmaz Abebe Bianchi Costa Diallo Eriksen Fischer Greco
    Hoang Ivanova Jansen Kim Laurent Martins Nakamura Olsen Park Quispe Ribeiro Sato Torres Ueda Vogel Wójcik
    Xu Yamada Zhou Adeyemi Brandt Castro Demir Espinoza Farouk Gupta Horvat Iqbal Jensen
    """.split()  # noqa: SIM905 - read as a list of words
)

TRADES = (
    "gardener", "nurse", "illustrator", "bike mechanic", "teacher", "baker", "translator", "carpenter", "photographer",
    "bookseller", "cook", "sound engineer", "biologist", "tailor", "swimmer", "city planner", "potter", "student",
)  # fmt: skip

LANGUAGES = ("en", "de", "fr", "es", "pt", "ja")

# A post is an opening, a middle and an ending, each chosen apart; `{thing}` and `{place}` are of the same language.
GRAMMAR: dict[str, dict[str, tuple[str, ...]]] = {
    "en": {
        "opening": (
            "This morning",
            "After three tries",
            "Nobody told me that",
            "Just for the record:",
            "On the way home",
            "Late last night",
            "For once",
            "Small win:",
            "If you ever wonder,",
            "Between two trains",
        ),
        "middle": (
            "I fixed {thing}",
            "I found {thing} at {place}",
            "we finished {thing}",
            "I learned how {thing} works",
            "somebody left {thing} at {place}",
            "I walked past {place} and thought of {thing}",
            "{thing} from {place} is better than I remembered",
            "I gave {thing} to a stranger at {place}",
        ),
        "ending": (
            ".",
            " and it was worth it.",
            ", thanks to a neighbour.",
            ". Photos tomorrow.",
            "; ask me how.",
            "!",
            " — what would you have done?",
            ". More of this, please.",
            " before it rained.",
        ),
        "thing": (
            "the old bicycle",
            "a sourdough starter",
            "the kitchen lamp",
            "a box of records",
            "my first scarf",
            "the garden gate",
            "a map of the tram lines",
            "the radio",
            "a letter from 1962",
            "the blue teapot",
        ),
        "place": (
            "the flea market",
            "the harbour",
            "the library",
            "the corner café",
            "the allotments",
            "platform four",
            "the swimming pool",
            "the old cinema",
        ),
    },
    "de": {
        "opening": (
            "Heute früh",
            "Nach drei Versuchen",
            "Ganz nebenbei",
            "Auf dem Heimweg",
            "Gestern spät abends",
            "Zur Abwechslung",
            "Kaum zu glauben, aber",
        ),
        "middle": (
            "habe ich {thing} repariert",
            "habe ich {thing} {place} gefunden",
            "stand {thing} {place}",
            "haben wir {thing} fertig bekommen",
        ),
        "ending": (
            ".",
            " und es hat sich gelohnt.",
            ". Bilder folgen.",
            "!",
            ", kurz vor dem Regen.",
            ". Wer macht mit?",
        ),
        "thing": (
            "das alte Fahrrad",
            "die Küchenlampe",
            "das Radio",
            "eine Karte von 1962",
            "die blaue Kanne",
            "eine Kiste Schallplatten",
        ),
        "place": (
            "am Hafen",
            "auf dem Flohmarkt",
            "in der Bücherei",
            "im Café an der Ecke",
            "im Schrebergarten",
            "am Gleis vier",
        ),
    },
    "fr": {
        "opening": ("Ce matin", "Après trois essais", "Pour une fois", "En rentrant", "Hier soir", "Mine de rien"),
        "middle": (
            "j'ai réparé {thing}",
            "j'ai trouvé {thing} {place}",
            "on a terminé {thing}",
            "j'ai vu {thing} {place}",
            "quelqu'un a laissé {thing} {place}",
        ),
        "ending": (
            ".",
            " et ça valait la peine.",
            ". Photos demain.",
            " !",
            ", juste avant la pluie.",
            ". Qui vient ?",
        ),
        "thing": (
            "le vieux vélo",
            "une lettre de 1962",
            "la lampe de la cuisine",
            "la radio",
            "la théière bleue",
            "une caisse de disques",
        ),
        "place": (
            "au marché aux puces",
            "sur le port",
            "à la bibliothèque",
            "au café du coin",
            "quai quatre",
            "à la piscine",
        ),
    },
    "es": {
        "opening": ("Esta mañana", "Al tercer intento", "Por una vez", "De vuelta a casa", "Anoche", "Quién lo diría:"),
        "middle": (
            "arreglé {thing}",
            "encontré {thing} {place}",
            "terminamos {thing}",
            "alguien dejó {thing} {place}",
            "vi {thing} {place}",
        ),
        "ending": (
            ".",
            " y valió la pena.",
            ". Mañana las fotos.",
            "!",
            ", justo antes de la lluvia.",
            ". ¿Quién se apunta?",
        ),
        "thing": (
            "la bicicleta vieja",
            "una carta de 1962",
            "la lámpara de la cocina",
            "la radio",
            "la tetera azul",
            "una caja de discos",
        ),
        "place": ("en el rastro", "en el puerto", "en la biblioteca", "en el café de la esquina", "en el andén cuatro"),
    },
    "pt": {
        "opening": ("Hoje cedo", "À terceira tentativa", "Por uma vez", "A caminho de casa", "Ontem à noite"),
        "middle": (
            "consertei {thing}",
            "encontrei {thing} {place}",
            "terminamos {thing}",
            "alguém deixou {thing} {place}",
        ),
        "ending": (".", " e valeu a pena.", ". Fotos amanhã.", "!", ", antes da chuva."),
        "thing": ("a bicicleta velha", "uma carta de 1962", "o rádio", "o bule azul", "uma caixa de discos"),
        "place": ("na feira", "no porto", "na biblioteca", "no café da esquina", "na plataforma quatro"),
    },
    "ja": {
        "opening": ("今朝、", "三度目でやっと、", "帰り道に", "昨日の夜、", "めずらしく"),
        "middle": ("{place}{thing}を見つけた", "{thing}を直した", "{thing}が完成した", "{place}{thing}を見た"),
        "ending": ("。", "。やってよかった。", "。写真は明日。", "!", "。雨の前に。"),
        "thing": ("古い自転車", "1962年の手紙", "台所のランプ", "ラジオ", "青い急須", "レコードの箱"),
        "place": ("港で", "のみの市で", "図書館で", "角の喫茶店で", "四番線で"),
    },
}

REPLIES: dict[str, tuple[str, ...]] = {
    "en": ("Same here.", "Where was that?", "Well done!", "I would have given up.", "Show us!", "That made my day."),
    "de": ("Geht mir genauso.", "Wo war das?", "Stark!", "Ich hätte aufgegeben.", "Zeig mal!"),
    "fr": ("Pareil ici.", "C'était où ?", "Bravo !", "Moi, j'aurais abandonné.", "Montre !"),
    "es": ("Igual por aquí.", "¿Dónde fue?", "¡Bien hecho!", "Yo me habría rendido.", "¡Enséñanos!"),
    "pt": ("Aqui também.", "Onde foi?", "Muito bem!", "Eu teria desistido.", "Mostra!"),
    "ja": ("わかります。", "どこで?", "すごい!", "見せて!", "いい話。"),
}
