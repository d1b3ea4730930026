"""Every opcode that PTX has, and whether its first operand is its result (PTX ISA 9, "Instruction Set")."""

# Every opcode, by its part before the first dot; the first operand of these is their result.
_RESULT_WORDS = """
    abs activemask add addc alloca and atom bfe bfi bfind bmsk brev clz clusterlaunchcontrol cnot copysign cos
    createpolicy cvt cvta div dp2a dp4a elect ex2 fma fns getctarank isspacep istypep ld ldmatrix ldu lg2 lop3 mad mad24
    madc mapa match max min mma mov movmatrix mul mul24 multimem neg not or pack popc prmt rcp redux rem rsqrt sad selp
    set setp shf shfl shl shr sin slct sqrt stacksave sub subc suld suq szext tanh testp tex tld4 txq unpack vabsdiff
    vabsdiff2 vabsdiff4 vadd vadd2 vadd4 vavrg2 vavrg4 vmad vmax vmax2 vmax4 vmin vmin2 vmin4 vote vset vset2 vset4 vshl
    vshr vsub vsub2 vsub4 wmma xor"""
_NO_RESULT_WORDS = """
    applypriority bar barrier bra brkpt brx call cp discard exit fence griddepcontrol mbarrier membar nanosleep
    pmevent prefetch prefetchu red ret setmaxnreg st stackrestore stmatrix sured sust tcgen05 tensormap trap
    wgmma"""
WITH_RESULT = frozenset(_RESULT_WORDS.split())
WITHOUT_RESULT = frozenset(_NO_RESULT_WORDS.split())


def is_known(opcode: str) -> bool:
    """True for an instruction that PTX has."""
    base = opcode.partition(".")[0]
    return base in WITH_RESULT or base in WITHOUT_RESULT
