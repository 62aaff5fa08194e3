"""The recipient's page in German."""

from collector.speech.phrases import Act, Mail, Notice, Phrases, Record, Said

GERMAN = Phrases(
    language="de",
    months=(
        "Januar",
        "Februar",
        "März",
        "April",
        "Mai",
        "Juni",
        "Juli",
        "August",
        "September",
        "Oktober",
        "November",
        "Dezember",
    ),
    date="{day}. {month} {year}",
    notice=Notice(
        title="Was dieser Server ist",
        what=(
            (
                "Eine Organisation, die E-Mails verschickt, erfährt über diesen Server, ob ihre "
                "E-Mails gelesen werden. Darin kann ein kleines Bild sein, das beim Anzeigen von "
                "hier geladen wird, und Links, die über diesen Server dorthin führen, wo sie "
                "hinzeigen."
            ),
            (
                "Wenn Sie ein solches Bild laden oder einem solchen Link folgen, können für den "
                "Absender die Zeit, die Art des Programms und ein Teil Ihrer Netzadresse erfasst "
                "werden, oder nur, dass es irgendjemand war: je nachdem, was der Absender "
                "eingestellt hat und womit Sie einverstanden sind. Es wird kein Cookie gesetzt."
            ),
            (
                "Hier können Sie widersprechen und sehen, was erfasst ist: mit einem beliebigen "
                "Link aus der E-Mail, ohne Konto. Sie können auch Ihr Mailprogramm anweisen, keine "
                "Bilder aus dem Netz zu laden."
            ),
        ),
        own_words="Von der Organisation, die die E-Mails verschickt",
        contact="Fragen zu Ihren Daten",
        find="Sehen, was über Sie bekannt ist, und es beenden",
        find_help="Kopieren Sie einen Link aus der E-Mail oder die Adresse des kleinen Bildes und "
        "fügen Sie sie hier ein. Auch ein Stück des Quelltextes genügt. Kopieren reicht, Sie "
        "müssen dem Link nicht folgen.",
        find_label="Link aus der E-Mail",
        find_button="Anzeigen",
        not_ours="In dem, was Sie eingefügt haben, ist kein Link von hier. Kopieren Sie einen "
        "ganzen Link aus der E-Mail, von http bis zum Ende, und versuchen Sie es noch einmal.",
    ),
    record=Record(
        title="Diese E-Mail und Sie",
        sender="Absender",
        day="Vom",
        recipient="An",
        masked="Die Adresse ist gekürzt, denn wenn die E-Mail weitergeleitet wurde, können auch "
        "andere diesen Link haben.",
        seen="Was zu dieser E-Mail erfasst ist",
        opened="ihre Bilder wurden geladen",
        clicked="einem Link darin wurde gefolgt",
        machine_opened="ihre Bilder wurden abgerufen, anscheinend von einem Programm",
        machine_clicked="ein Link darin wurde abgerufen, anscheinend von einem Programm",
        nothing="Es ist nicht erfasst, dass jemand sie geöffnet hätte oder einem Link darin "
        "gefolgt wäre.",
        days_only="Die Tage sind die der Weltzeit (UTC).",
        state="Ob Sie verfolgt werden",
        unknown="Sie haben weder zugestimmt noch widersprochen. Was erfasst werden darf, hängt von "
        "den Einstellungen des Absenders ab.",
        granted="Es ist vermerkt, dass Sie der Erfassung zugestimmt haben.",
        denied="Sie haben die Erfassung am {day} auf dieser Seite beendet. Über Sie wird nichts "
        "erfasst.",
        denied_elsewhere="Es ist vermerkt, dass Sie der Erfassung widersprochen haben oder dass "
        "niemand aus Ihrer Domain erfasst werden darf. Über Sie wird nichts erfasst. Das wurde "
        "nicht auf dieser Seite erklärt und lässt sich hier nicht ändern.",
        not_known="Der Link ist echt. Was zu der E-Mail erfasst ist, lässt sich jetzt nicht "
        "zeigen: Die Aufzeichnungen sind gerade nicht lesbar, oder sie enthalten diese E-Mail "
        "noch nicht oder nicht mehr. Die Erfassung beenden können Sie trotzdem.",
        shared="Diesen Link haben mehrere Personen gleich bekommen. Ein Öffnen wird als "
        "„jemand von diesen“ erfasst; diese Seite kann deshalb nicht wissen, wer Sie sind, und "
        "zeigt von niemandem etwas.",
        anonymous="Diesen Link haben mehrere Personen gleich bekommen, und nichts, was durch ihn "
        "erfasst wird, ist mit einer von ihnen verbunden. Auch diese Seite kann nicht wissen, wer "
        "Sie sind.",
        untracked="Diese E-Mail ging ohne etwas hinaus, das erfasst werden könnte.",
    ),
    withdraw=Act(
        title="Erfassung beenden",
        words="Ich will nicht verfolgt werden. Von jetzt an wird nichts erfasst, wenn ich E-Mails "
        "öffne oder Links in E-Mails folge, die diese Organisation an meine Adresse schickt, auch "
        "in E-Mails, die ich schon habe. Links funktionieren weiter.",
        button="Mich nicht mehr verfolgen",
    ),
    restore=Act(
        title="Wieder zulassen",
        words="Damit nehmen Sie zurück, dass Sie die Erfassung hier beendet haben, und nichts "
        "sonst: Danach ist es wie vorher. Damit sicher ist, dass Sie es sind, geht eine E-Mail an "
        "die Adresse; darin steht ein Link zum Bestätigen.",
        button="E-Mail schicken",
    ),
    ask=Act(
        title="Erfassung beenden",
        words="Schreiben Sie die Adresse, an der Sie die E-Mail bekommen haben. Wenn die E-Mail "
        "dorthin ging, bekommen Sie eine weitere mit einem Link zum Bestätigen. Ob es so war, "
        "verrät diese Seite nicht.",
        button="E-Mail schicken",
    ),
    ask_label="Ihre E-Mail-Adresse",
    deny=Act(
        title="Erfassung beenden",
        words="{mask} soll nicht verfolgt werden. Von jetzt an wird nichts erfasst, wenn E-Mails "
        "dieser Organisation an diese Adresse geöffnet werden oder einem Link darin gefolgt wird, "
        "auch in schon zugestellten E-Mails. Links funktionieren weiter.",
        button="Mich nicht mehr verfolgen",
    ),
    undo=Act(
        title="Wieder zulassen",
        words="Zurücknehmen, dass die Erfassung für {mask} beendet wurde: Von jetzt an ist es wie "
        "vorher. Das ist keine Einwilligung.",
        button="Wieder zulassen",
    ),
    not_unsubscribe="Das ist keine Abmeldung: Sie bekommen weiterhin E-Mails. Wenn Sie keine mehr "
    "wollen, benutzen Sie den Abmeldelink der E-Mail oder antworten Sie darauf.",
    withdrawn=Said(
        "Sie werden nicht mehr verfolgt",
        (
            (
                "Das gilt von jetzt an, auch für E-Mails, die Sie schon haben: Wenn Sie E-Mails "
                "öffnen oder Links in E-Mails folgen, die diese Organisation an Ihre Adresse "
                "schickt, wird nichts erfasst. Links funktionieren weiter."
            ),
            (
                "Was vorher erfasst wurde, ist noch da. Wenn es gelöscht werden soll, wenden Sie "
                "sich an den Absender."
            ),
        ),
    ),
    withdrawal_kept=Said(
        "Ihr Widerspruch ist festgehalten",
        (
            (
                "Von jetzt an wird nichts erfasst, wenn Sie diese E-Mail öffnen oder ihren Links "
                "folgen. Links funktionieren weiter."
            ),
            (
                "Die Aufzeichnungen sind gerade nicht lesbar oder kennen diese E-Mail nicht. "
                "Sobald sie es sind und sie kennen, gilt Ihr Widerspruch für alle E-Mails an Ihre "
                "Adresse. Sie müssen nichts weiter tun. Ging die E-Mail mit demselben Link an "
                "mehrere Personen, gilt er nur für diese E-Mail, denn der Link sagt nicht, wer Sie "
                "sind."
            ),
        ),
    ),
    asked=Said(
        "Schauen Sie in Ihr Postfach",
        (
            (
                "Wenn die E-Mail an die Adresse ging, die Sie geschrieben haben, ist eine weitere "
                "dorthin unterwegs. Darin steht ein Link: Folgen Sie ihm, um die Erfassung zu "
                "beenden."
            ),
            (
                "Kommt innerhalb einer Stunde nichts? Dann ging die E-Mail an eine andere Ihrer "
                "Adressen, oder die letzte E-Mail dieser Art ist noch keinen Tag alt."
            ),
        ),
    ),
    restore_asked=Said(
        "Schauen Sie in Ihr Postfach",
        (
            (
                "An die Adresse, an der Sie diese E-Mail bekommen haben, ist eine E-Mail "
                "unterwegs. Darin steht ein Link: Folgen Sie ihm, um die Erfassung wieder "
                "zuzulassen. Bis dahin ändert sich nichts."
            ),
        ),
    ),
    denied=Said(
        "Sie werden nicht mehr verfolgt",
        (
            (
                "Das gilt von jetzt an, auch für E-Mails, die Sie schon haben: Es wird nichts "
                "erfasst. Links funktionieren weiter."
            ),
            (
                "Was vorher erfasst wurde, ist noch da. Wenn es gelöscht werden soll, wenden Sie "
                "sich an den Absender."
            ),
        ),
    ),
    undone=Said(
        "Es ist wie vorher",
        (
            (
                "Dass Sie die Erfassung beendet hatten, ist zurückgenommen. Von jetzt an darf "
                "erfasst werden, was vorher erfasst werden durfte. Was Sie dazwischen getan haben, "
                "ist nicht bekannt und bleibt es."
            ),
        ),
    ),
    nothing_undone=Said(
        "Es gab nichts zurückzunehmen",
        (
            (
                "Für diese Adresse gilt nichts, was auf dieser Seite erklärt wurde. Vielleicht "
                "haben Sie schon bestätigt, oder jemand hat Ihren Widerspruch anderswo vermerkt."
            ),
        ),
    ),
    confirmation_kept=Said(
        "Es ist festgehalten",
        (
            (
                "Die Aufzeichnungen lassen sich gerade nicht ändern. Was Sie bestätigt haben, "
                "geschieht, sobald es geht. Sie müssen nichts weiter tun."
            ),
        ),
    ),
    code_ended=Said(
        "Dieser Link gilt nicht mehr",
        (
            (
                "Er ist unvollständig oder zu alt. Es wurde nichts geändert. Nehmen Sie einen Link "
                "aus der E-Mail, um die es geht, und beginnen Sie auf der ersten Seite von vorn."
            ),
        ),
    ),
    not_found=Said(
        "Das ist kein Link von hier",
        (
            (
                "Er ist unvollständig, wurde unterwegs verändert oder war nie ein Link von hier. "
                "Nehmen Sie einen anderen Link aus der E-Mail und fügen Sie ihn auf der ersten "
                "Seite ein."
            ),
        ),
    ),
    too_often=Said(
        "Nicht so oft",
        ("Danach wurde zu oft gefragt. Bitte kommen Sie morgen wieder.",),
    ),
    not_kept=Said(
        "Das hat nicht geklappt",
        (
            (
                "Es konnte gerade nichts geschrieben werden, also wurde nichts geändert. Bitte "
                "kommen Sie in einigen Minuten wieder."
            ),
        ),
    ),
    foreign=Said(
        "Es wurde nichts getan",
        (
            (
                "Eine andere Website hat das verlangt. Öffnen Sie diese Seite selbst und drücken "
                "Sie hier auf den Knopf."
            ),
        ),
    ),
    back="Zur ersten Seite",
    deny_mail=Mail(
        subject="Erfassung von E-Mails beenden: bitte bestätigen",
        text="Jemand, anscheinend Sie, möchte, dass E-Mails an {mask} nicht mehr verfolgt "
        "werden.\n\nZum Bestätigen öffnen Sie diese Seite und drücken dort auf den Knopf:\n\n"
        "{link}\n\nDer Link gilt eine Woche. Waren Sie es nicht, tun Sie nichts: Dann ändert sich "
        "nichts.\n",
    ),
    undo_mail=Mail(
        subject="Erfassung von E-Mails wieder zulassen: bitte bestätigen",
        text="Die Erfassung von E-Mails an {mask} wurde beendet. Jemand, anscheinend Sie, möchte "
        "das zurücknehmen.\n\nZum Bestätigen öffnen Sie diese Seite und drücken dort auf den "
        "Knopf:\n\n{link}\n\nDer Link gilt eine Woche. Waren Sie es nicht, tun Sie nichts: Dann "
        "ändert sich nichts.\n",
    ),
)
