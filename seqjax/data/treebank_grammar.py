"""A small grammar of English with heads, and its words: what the treebank of ``parse`` is written with.

A rule reads ``symbol -> parts`` or ``symbol -> weight: parts``. A part ``label(symbol)`` hangs by that label on the one
part without a label, the head; ``'word'TAG`` is a word. ``^`` moves a part to the front of the sentence, ``$`` to its
end. In a rule ``@`` and ``&`` stand for s or p (singular, plural), each for the same throughout, and ``%`` for any form
of a verb: s, p (present or past), b (bare), n (participle), g (-ing); ``-s`` and ``-p`` are present and never past.

With which words a prepositional phrase hangs together is decided by the words alone: one sees with a telescope and eats
with a fork, but a soup with a spoon in it is eaten, and a girl with a telescope is met. A relative clause hangs on the
noun that its verb agrees with.
"""

GRAMMAR = """
Sentence -> 12: Main punct('.'PUNCT)
Sentence -> 2: Question punct('?'PUNCT)
Main -> 8: S.@
Main -> advcl(Before) S.@
Main -> S.@ advcl(Sub)
Main -> S.@ conj(Second)
Main -> advmod(Opener) S.@
Opener -> Day punct(','PUNCT)
Before -> Sub punct(','PUNCT)
Second -> punct(','PUNCT) cc(And) S.@
Sub -> mark(Since) S.@
S.@ -> 12: nsubj(NP.@) Finite.@
S.@ -> 3: nsubj:pass(NP.@) Passive.@
S.@ -> nsubj(Late.@) Come.@
Late.@ -> det(A.@) Person.@ acl:relcl($Who.@)
Come.@ -> Vcome.@
Come.@ -> Vcome.@ advmod(Day)

Finite.@ -> 6: VP.@
Finite.@ -> aux('will'AUX) VP.b
Finite.@ -> aux('can'AUX) VP.b
Finite.s -> aux('has'AUX) VP.n
Finite.p -> aux('have'AUX) VP.n
Finite.s -> aux('is'AUX) VP.g
Finite.p -> aux('are'AUX) VP.g
Finite.s -> aux('does'AUX) advmod('not'PART) VP.b
Finite.p -> aux('do'AUX) advmod('not'PART) VP.b
Finite.s -> cop('is'AUX) Quality
Finite.p -> cop('are'AUX) Quality
Finite.s -> cop('was'AUX) Is
Is -> det('a'DET) Person.s
Is -> det('the'DET) Person.s nmod(Of)
Is -> case(In) Thereat
Thereat -> det('the'DET) Place
Quality -> Adjective
Quality -> advmod(Degree) Adjective
Passive.s -> aux:pass('was'AUX) Done
Passive.p -> aux:pass('were'AUX) Done
Done -> Vmeet.n obl:agent(By)
Done -> Vsee.n obl:agent(By)
Done -> Vsee.n obl(Seeing)
Done -> Vcut.n obl(Cutting)
By -> case('by'ADP) NP.@

VP.% -> 3: Vsee.% obj(Seen)
VP.% -> 5: Vsee.% obj(Seen) obl(Seeing)
VP.% -> 5: Vmeet.% obj(Met)
VP.% -> 2: Veat.% obj(Eaten)
VP.% -> 2: Veat.% obj(Eaten) obl(Eating)
VP.% -> 2: Vcut.% obj(Cut)
VP.% -> 1: Vcut.% obj(Cut) obl(Cutting)
VP.% -> 2: Vput.% obj(Thing) obl(There)
VP.% -> 2: Vread.% obj(Book)
VP.% -> 2: Vgive.% iobj(Object) obj(Thing)
VP.% -> 2: Vgive.% obj(Thing) obl(To)
VP.% -> 2: Vsleep.%
VP.% -> 2: Vsleep.% obl(There)
VP.% -> 1: Vsleep.% advcl(Sub)
VP.% -> 2: Vsay.% ccomp(That)
VP.% -> 2: Vwant.% xcomp(Aim)
VP.% -> 2: VP.% advmod(Manner)
VP.% -> 2: VP.% obl(When)
VP.% -> 1: VP.% conj(VPand.%)
VPand.% -> cc('and'CCONJ) Vsleep.%
VPand.% -> cc('and'CCONJ) Vmeet.% obj(Object)
That -> 2: mark('that'SCONJ) S.@
That -> S.@
Aim -> mark('to'PART) VP.b
To -> case('to'ADP) Object
There -> case(In) Thereat
When -> case('in'ADP) Daytime
When -> case('after'ADP) Meal
When -> case('before'ADP) Meal
Daytime -> det('the'DET) Part

Seeing -> case('with'ADP) A_glass
A_glass -> det(The.s) Glass
Eating -> case('with'ADP) A_fork
A_fork -> det(The.s) Fork
Cutting -> case('with'ADP) A_knife
A_knife -> det(The.s) Knife
Seen -> 2: Object
Seen -> 3: det(The.@) Person.@
Seen -> det(The.@) Animal.@
Seen -> det(The.@) Person.@ nmod(Wearing)
Seen -> det(The.@) Person.@ nmod(Place_of)
Met -> 2: Object
Met -> 6: det(The.@) Person.@ nmod(Carrying)
Met -> det(The.@) Person.@ nmod(Place_of)
Eaten -> 2: Dish
Eaten -> Dish nmod(Topped)
Dish -> det('the'DET) Food
Dish -> det('the'DET) amod(Taste) Food
Topped -> case('with'ADP) Topping
Topped -> case('with'ADP) Fork_in
Fork_in -> det('the'DET) Glass
Cut -> det(The.s) Stuff
Cut -> det(The.s) amod(Adjective) Stuff
Cut -> det(The.s) Stuff nmod(Of)
Thing -> det(The.s) Item
Thing -> det(The.s) amod(Adjective) Item
Thing -> nmod:poss(Owner) Item
Book -> 2: Thing
Book -> det(The.s) Paper nmod(About)
Book -> det(The.s) Paper nmod(Place_of)
About -> case('about'ADP) Object
Wearing -> case('with'ADP) A_hat
A_hat -> det('a'DET) Hat
A_hat -> det('a'DET) amod(Adjective) Hat
Carrying -> case('with'ADP) Carried
Carried -> det(The.s) Glass
Carried -> det(The.s) Fork
Carried -> det(The.s) Knife
Carried -> A_hat
Place_of -> case(In) Thereat
Of -> case('of'ADP) Object

NP.@ -> 5: Plain.@
NP.@ -> 1: det(The.@) Person.@ nmod(Of)
NP.@ -> 1: det(The.@) Person.@ nmod(Carrying)
NP.@ -> 1: det(The.@) Person.@ nmod(Place_of)
NP.@ -> 1: det(The.@) Person.@ acl:relcl(Who.@)
NP.s -> 1: det(The.s) Person.s nmod(OfMany) acl:relcl(Who.s)
NP.p -> 1: det(The.p) Person.p nmod(OfOne) acl:relcl(Who.p)
NP.s -> 1: det(The.s) Person.s nmod(OfManyWho)
NP.p -> 1: det(The.p) Person.p nmod(OfOneWho)
NP.p -> 2: Plain.& conj(AndNP)
AndNP -> cc('and'CCONJ) Object
OfMany -> case('of'ADP) det('the'DET) Person.p
OfOne -> case('of'ADP) det('the'DET) Person.s
OfManyWho -> case('of'ADP) det('the'DET) Person.p acl:relcl(Who.p)
OfOneWho -> case('of'ADP) det('the'DET) Person.s acl:relcl(Who.s)
Plain.s -> 3: Name
Plain.@ -> 2: He.@
Plain.@ -> 4: det(The.@) Person.@
Plain.@ -> 2: det(The.@) amod(Adjective) Person.@
Plain.p -> nummod(Number) Person.p
Plain.@ -> nmod:poss(Owner) Person.@
Owner -> 2: His
Owner -> Name case("'s"PART)
Object -> 3: Name
Object -> 2: Him
Object -> 4: det(The.@) Person.@
Object -> 2: det(The.@) amod(Adjective) Person.@
Object -> nmod:poss(Owner) Person.@
Who.@ -> nsubj('who'PRON) Vsleep-@
Who.@ -> nsubj('who'PRON) Vmeet-@ obj(Object)
Who.@ -> nsubj('who'PRON) Vread-@ obj(Thing)

Question -> 2: aux(Did) nsubj(NP.@) VP.b
Question -> 1: aux(Did) nsubj(NP.@) Vmeet.b obj(^'whom'PRON)
Question -> 1: aux(Did) nsubj(NP.@) Vread.b obj(^'what'PRON)
Question -> 2: aux(Did) nsubj(NP.@) Vsay.b ccomp(Gap)
Gap -> mark('that'SCONJ) nsubj(NP.@) Vread.@ obj(^'what'PRON)
Gap -> nsubj(NP.@) Vmeet.@ obj(^'whom'PRON)
"""

LEXICON = """
Name PROPN Anna Peter Maria John Sofia Daniel Clara Hugo Ines Victor
He.s PRON he she
He.p PRON they we
Him PRON him her them us
His PRON his her their our
A.s DET a
A.p DET some
The.s DET the a this that every
The.p DET the some these those many
Since SCONJ because when although while if after
And CCONJ and but
In ADP in near behind outside
Number NUM two three four five seven ten
Degree ADV very quite rather too
Manner ADV quickly slowly often quietly again carefully rarely
Day ADV yesterday today now later
Did AUX did will can
Part NOUN morning evening afternoon
Meal NOUN lunch breakfast dinner noon
Adjective ADJ old young tall small happy tired strange quiet angry clever ugly
Taste ADJ hot cold fresh sweet
Place NOUN garden park city forest station school kitchen library harbour village
Glass NOUN telescope camera microscope lens
Fork NOUN fork spoon ladle
Knife NOUN knife axe razor saw
Hat NOUN hat beard scarf coat umbrella smile
Food NOUN soup pasta rice bread salad cake pie
Topping NOUN cheese honey cream sugar mushrooms olives
Stuff NOUN rope paper branch cloth wire ice
Item NOUN book letter map key lamp box ring ticket
Paper NOUN book letter story poem article
"""

NOUNS = """
Person man/men woman/women child/children girl/girls boy/boys teacher/teachers doctor/doctors friend/friends
Person student/students neighbour/neighbours artist/artists engineer/engineers singer/singers baker/bakers
Animal dog/dogs cat/cats bird/birds horse/horses owl/owls mouse/mice fox/foxes
"""

VERBS = """
see sees/see/saw/see/seen/seeing notices/notice/noticed/notice/noticed/noticing
see watches/watch/watched/watch/watched/watching observes/observe/observed/observe/observed/observing
meet meets/meet/met/meet/met/meeting knows/know/knew/know/known/knowing helps/help/helped/help/helped/helping
meet visits/visit/visited/visit/visited/visiting likes/like/liked/like/liked/liking
eat eats/eat/ate/eat/eaten/eating tastes/taste/tasted/taste/tasted/tasting
eat serves/serve/served/serve/served/serving
cut cuts/cut/cut/cut/cut/cutting splits/split/split/split/split/splitting
cut shortens/shorten/shortened/shorten/shortened/shortening
put puts/put/put/put/put/putting leaves/leave/left/leave/left/leaving hides/hide/hid/hide/hidden/hiding
read reads/read/read/read/read/reading finds/find/found/find/found/finding
read buys/buy/bought/buy/bought/buying forgets/forget/forgot/forget/forgotten/forgetting
give gives/give/gave/give/given/giving shows/show/showed/show/shown/showing
give sends/send/sent/send/sent/sending
sleep sleeps/sleep/slept/sleep/slept/sleeping waits/wait/waited/wait/waited/waiting
sleep sings/sing/sang/sing/sung/singing works/work/worked/work/worked/working
sleep laughs/laugh/laughed/laugh/laughed/laughing
come arrives/arrive/arrived/arrive/arrived/arriving appears/appear/appeared/appear/appeared/appearing
come comes/come/came/come/come/coming
say says/say/said/say/said/saying thinks/think/thought/think/thought/thinking
say believes/believe/believed/believe/believed/believing
want wants/want/wanted/want/wanted/wanting hopes/hope/hoped/hope/hoped/hoping
want tries/try/tried/try/tried/trying
"""
